"""Why a step cannot be done, always with the remedy."""

from __future__ import annotations

from appliance.errors import ApplianceError


class PortTaken(ApplianceError):
    code = "port_taken"
    ru = "Порт {port} занят другой программой. Выберите другой, например: make demo PORT={other}"
    en = "Port {port} is taken by another program. Choose another one, for example: make demo PORT={other}"


class NoCertificate(ApplianceError):
    code = "no_certificate"
    ru = "Система работает без TLS (./install --http). Включить: appliance certificate install --cert ФАЙЛ --key ФАЙЛ"
    en = "Plain HTTP is served (./install --http). For TLS: appliance certificate install --cert FILE --key FILE"


class CompanyCertificate(ApplianceError):
    code = "company_certificate"
    ru = (
        "Это сертификат предприятия ({issuer}): новый выпускает оно. "
        "Поставить его: appliance certificate install --cert ФАЙЛ --key ФАЙЛ"
    )
    en = (
        "This certificate is the company's ({issuer}), who makes the next one. "
        "To put it in: appliance certificate install --cert FILE --key FILE"
    )


class CertificateUnfit(ApplianceError):
    code = "certificate_unfit"
    ru = "{file} не подходит: {reason_ru}"
    en = "{file} does not do: {reason}"


class StepFailed(ApplianceError):
    code = "step_failed"
    ru = "Не удалось: {step}. {reason}"
    en = "Failed: {step}. {reason}"


class PostgresMissing(ApplianceError):
    code = "postgres_missing"
    ru = "Сервер PostgreSQL не установлен. Выполните: installer/packages.sh"
    en = "PostgreSQL's server is not installed. Run: installer/packages.sh"


class BackupRuns(ApplianceError):
    code = "backup_runs"
    ru = "Другая резервная копия ещё создаётся. Дождитесь её конца"
    en = "Another backup is being made. Wait for its end"


class BackupUnsound(ApplianceError):
    code = "backup_unsound"
    ru = "Резервная копия повреждена или неполна: {what}. Возьмите другую копию"
    en = "The backup is damaged or not whole: {what}. Take another one"


class StillRunning(ApplianceError):
    code = "still_running"
    ru = "Система работает. Остановите её: systemctl stop call-analytics (или appliance down)"
    en = "The appliance is running. Stop it: systemctl stop call-analytics (or appliance down)"


class RestoreRuns(ApplianceError):
    code = "restore_runs"
    ru = "Идёт восстановление из копии. Дождитесь его конца или прервите его: прежнее вернётся на место"
    en = "A backup is being restored. Wait for its end, or stop it: what was there comes back"


class RestoreCutOff(ApplianceError):
    code = "restore_cut_off"
    ru = "Восстановление из копии было прервано. Запустите систему (прежнее вернётся на место) или восстановите снова"
    en = "A restore was cut off. Start the appliance (what was there comes back), or restore again"


class HalfRestored(ApplianceError):
    code = "half_restored"
    ru = (
        "Восстановление из копии в {folder} было прервано, данные неполны. Повторите его: appliance backup restore "
        "КОПИЯ --data-dir {folder}; или откажитесь от него: appliance down, затем удалите {places}"
    )
    en = (
        "A restore into {folder} was cut off, and half of the data is there. Run it again: appliance backup restore "
        "BACKUP --data-dir {folder}; or give it up: appliance down, then remove {places}"
    )


class UpgradeUnfinished(ApplianceError):
    code = "upgrade_unfinished"
    ru = "Обновление не закончено. Дождитесь конца, а если оно прервано, запустите: call-analytics up"
    en = "An upgrade is not finished. Wait for its end or, where it was cut off, run: call-analytics up"


class NotEmpty(ApplianceError):
    code = "folder_not_empty"
    ru = "В папке {folder} уже есть данные. Заменить их копией: --replace; при неудаче всё останется как было"
    en = "There is data in {folder} already. Put the backup in its place: --replace; if that fails all stays as it was"


class NodePortTaken(ApplianceError):
    code = "node_port_taken"
    ru = "Порт {port} знают другие машины установки, а он занят. Остановите программу: ss -ltnp 'sport = :{port}'"
    en = "Further machines know port {port}, and it is taken. Stop the program: ss -ltnp 'sport = :{port}'"


class NodeNameUnfit(ApplianceError):
    code = "node_name_unfit"
    ru = "Имя машины: от 1 до 32 строчных латинских букв, цифр и дефисов, сначала буква"
    en = "A node's name has 1 to 32 lower-case letters, digits and hyphens, a letter first"


class AddressUnfit(ApplianceError):
    code = "address_unfit"
    ru = "{address} не подходит: нужен один адрес IP в сети предприятия"
    en = "{address} does not do: one IP address in the company's network is needed"


class AddressNotHere(ApplianceError):
    code = "address_not_here"
    ru = "Адреса {address} на этой машине нет. Показать её адреса: ip -brief address"
    en = "This machine does not have the address {address}. To see those it has: ip -brief address"


class NotListening(ApplianceError):
    code = "not_listening"
    ru = (
        "База и хранилище отвечают только этой машине. Назовите её адрес в сети, по которому придёт {name}: "
        "--listen АДРЕС. PostgreSQL перезапустится (секунды); откройте машине {name} порты {database} и {store}"
    )
    en = (
        "The database and the store answer this machine alone. Name its address that {name} will come to: "
        "--listen ADDRESS. PostgreSQL restarts (seconds); open the ports {database} and {store} to {name} alone"
    )


class OutOfReach(ApplianceError):
    code = "out_of_reach"
    ru = "{setting} ведёт на эту же машину ({host}): другой машине нужен адрес в сети. Измените {setting}"
    en = "{setting} leads to this same machine ({host}): another one needs an address in the network. Change {setting}"


class NotTheFirst(ApplianceError):
    code = "not_the_first_node"
    ru = "Это дополнительная машина {name}: добавляют и удаляют машины на первой"
    en = "This is the further machine {name}: nodes are added and removed on the first one"


class FirstMachineAway(ApplianceError):
    code = "first_machine_away"
    ru = (
        "База первой машины не отвечает по {address}: {reason}. Проверьте, что она работает, что её межсетевой экран "
        "пускает сюда (команды ufw назвал node add) и что эта машина не отключена (node list)"
    )
    en = (
        "The first machine's database does not answer at {address}: {reason}. See that it runs, that its firewall lets "
        "this machine in (node add named the ufw commands), and that this machine was not put out (node list)"
    )


class JoinFileUnfit(ApplianceError):
    code = "join_file_unfit"
    ru = "{file}: это не файл подключения. Его создаёт на первой машине: appliance node add"
    en = "{file} is no join file. It is made on the first machine by: appliance node add"


class OtherRelease(ApplianceError):
    code = "other_release"
    ru = "На первой машине версия {theirs} (база {schema}), здесь {ours} ({expected}). Установите одну и ту же"
    en = "The first machine has version {theirs} (database {schema}), this one {ours} ({expected}). Install the same"


class AnotherInstallation(ApplianceError):
    code = "another_installation"
    ru = "В папке {folder} уже есть другая установка. Подключайте пустую машину"
    en = "There is another installation in {folder} already. Join an empty machine"
