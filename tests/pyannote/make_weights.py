"""Write a pipeline folder in community-1's layout with tiny networks and random weights: `make_weights.py FOLDER`.

Run by the interpreter of pyannote's environment. What pyannote does with the folder (loading, segmentation, embedding,
clustering) is all its own; what comes out is no diarization anybody could use.
"""

from __future__ import annotations

import sys
from pathlib import Path

import lightning
import numpy as np
import torch
import yaml
from pyannote.audio import Model
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.embedding.xvector import XVectorMFCC
from pyannote.audio.models.segmentation import PyanNet

SEED = 6
"""Random networks that hear two voices in the sample call that the tests use; most others hear one."""

EMBEDDED, PROJECTED = 32, 16


def save(model: Model, folder: Path) -> None:
    """As pyannote saves a model: its own hook writes versions, architecture and specifications."""
    folder.mkdir(parents=True)
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": lightning.__version__,
    }
    model.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, folder / "pytorch_model.bin")


def segmentation() -> Model:
    model = PyanNet(
        sincnet={"stride": 10},
        lstm={"hidden_size": 16, "num_layers": 1, "bidirectional": True, "monolithic": True},
        linear={"hidden_size": 16, "num_layers": 1},
    )
    model.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=10.0,
        warm_up=(0.0, 0.0),
        classes=["speaker#1", "speaker#2", "speaker#3"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    model.build()
    model.setup()
    return model


def embedding() -> Model:
    model = XVectorMFCC(dimension=EMBEDDED)
    model.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=5.0, classes=["a", "b"]
    )
    return model


def main() -> None:
    root = Path(sys.argv[1])
    torch.manual_seed(SEED)
    save(segmentation(), root / "segmentation")
    save(embedding(), root / "embedding")
    (root / "plda").mkdir()
    rotation, _ = np.linalg.qr(np.random.default_rng(SEED).normal(size=(EMBEDDED, EMBEDDED)))
    np.savez(
        root / "plda" / "xvec_transform.npz",
        mean1=np.zeros(EMBEDDED),
        mean2=np.zeros(PROJECTED),
        lda=rotation[:, :PROJECTED],
    )
    np.savez(
        root / "plda" / "plda.npz", mu=np.zeros(PROJECTED), tr=np.eye(PROJECTED), psi=np.linspace(5, 0.1, PROJECTED)
    )
    parts = {"segmentation": "$model/segmentation", "embedding": "$model/embedding", "plda": "$model/plda"}
    config = {
        "dependencies": {"pyannote.audio": "4.0.0"},
        "pipeline": {
            "name": "pyannote.audio.pipelines.SpeakerDiarization",
            "params": {
                "clustering": "VBxClustering",
                "embedding_exclude_overlap": True,
                "segmentation_step": 0.5,  # of a window; community-1 has a tenth, and takes five times as long
                "embedding_batch_size": 32,
                **parts,
            },
        },
        "params": {
            "clustering": {"threshold": 0.6, "Fa": 0.07, "Fb": 0.8},
            "segmentation": {"min_duration_off": 0.0},
        },
    }
    (root / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


if __name__ == "__main__":
    main()
