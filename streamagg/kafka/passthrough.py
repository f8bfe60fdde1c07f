"""Which settings of librdkafka a user may pass through.

Everything may, except what runs code, what streamagg needs under its own control to keep its
promises, and what cannot be written as text. librdkafka itself judges names and values of the rest.
"""

import re
from typing import Final

_RUNS_CODE: Final = "it makes the client run code or load libraries"
_OFFSETS: Final = "streamagg keeps offsets in the same transaction as the counts"
_MEMBERSHIP: Final = "streamagg needs its own kind of group membership for leader and standbys"
_TRANSACTIONS: Final = "streamagg runs the transactions; see --delivery"
_FEEDBACK: Final = "streamagg needs the reports of the client as they are"
_TEXT_ONLY: Final = "it cannot be given as text"
_BROKERS: Final = "use --bootstrap-servers, STREAMAGG_BOOTSTRAP_SERVERS or the key bootstrap_servers"

REFUSED: Final = {
    "plugin.library.paths": _RUNS_CODE,
    "sasl.kerberos.kinit.cmd": _RUNS_CODE,
    "ssl.engine.location": _RUNS_CODE,
    "ssl.engine.id": _RUNS_CODE,
    "ssl.providers": _RUNS_CODE,
    "bootstrap.servers": _BROKERS,
    "metadata.broker.list": _BROKERS,
    "group.id": "use --group, STREAMAGG_GROUP or the key group",
    "group.instance.id": _MEMBERSHIP,
    "group.protocol.type": _MEMBERSHIP,
    "group.remote.assignor": _MEMBERSHIP,
    "partition.assignment.strategy": _MEMBERSHIP,
    "enable.auto.commit": _OFFSETS,
    "auto.commit.enable": _OFFSETS,
    "auto.commit.interval.ms": _OFFSETS,
    "enable.auto.offset.store": _OFFSETS,
    "auto.offset.reset": "use --from, STREAMAGG_FROM or the key from",
    "isolation.level": "streamagg reads committed records only",
    "enable.partition.eof": "streamagg needs it to know the end of a partition",
    "transactional.id": _TRANSACTIONS,
    "transaction.timeout.ms": _TRANSACTIONS,
    "enable.idempotence": _TRANSACTIONS,
    "allow.auto.create.topics": "streamagg creates topics itself; see --create-topics",
    "delivery.report.only.error": _FEEDBACK,
    "enabled_events": _FEEDBACK,
    "interceptors": _TEXT_ONLY,
    "internal.termination.signal": "streamagg owns the signals",
    "log.queue": _FEEDBACK,
    "logger": _FEEDBACK,
    "produce.offset.report": _FEEDBACK,
    "statistics.interval.ms": "streamagg has metrics of its own; see --http",
    "builtin.features": "it describes the client and sets nothing",
    "default.topic.config": "give its settings directly",
    "default_topic_conf": "give its settings directly",
    "opaque": _TEXT_ONLY,
    "ssl_ca": _TEXT_ONLY,
    "ssl_certificate": _TEXT_ONLY,
    "ssl_engine_callback_data": _TEXT_ONLY,
    "ssl_key": _TEXT_ONLY,
    "msg_order_cmp": _TEXT_ONLY,
    "on_commit": _TEXT_ONLY,
    "on_delivery": _TEXT_ONLY,
}
REFUSED_FAMILIES: Final = {
    "offset.store.": _OFFSETS,
    "test.mock.": "it replaces the broker by a simulated one",
    "go.": "it belongs to another client library",
}
SECRETS: Final = frozenset(
    {
        "sasl.password",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.assertion.private.key.pem",
        "sasl.oauthbearer.client.credentials.client.secret",
        "sasl.oauthbearer.client.secret",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.password",
    }
)
"""What nobody else may see: never on the command line, where every user of the machine can read it."""
FILE_SUFFIX: Final = ".file"
"""``sasl.password.file`` names the file that holds ``sasl.password``."""
_SHELL_WORD: Final = re.compile(r"[\w./@:+-]*")


def refusal(key: str, value: str) -> str | None:
    """Why a setting may not be passed through, or None when streamagg has no objection."""
    if key in REFUSED:
        return REFUSED[key]
    if key.endswith("_cb"):
        return _TEXT_ONLY
    for family, reason in REFUSED_FAMILIES.items():
        if key.startswith(family):
            return reason
    # librdkafka pastes these into the shell command that renews a Kerberos ticket.
    if key.startswith("sasl.kerberos.") and not _SHELL_WORD.fullmatch(value):
        return "its value goes into a shell command and may hold only letters, digits and ./@:+-_"
    return None
