"""On-prem call analytics for car dealerships."""

from importlib.metadata import version

__version__ = version("call-analytics-appliance")
