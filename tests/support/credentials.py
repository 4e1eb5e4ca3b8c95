"""Ways in which credentials are written down, each with a secret of its own: none may come out anywhere."""

import re
from typing import Final

from tests.policy.migration.test_failures import SPELLINGS

LEAK: Final = re.compile(r"s3cr3t\d{3}x", re.IGNORECASE)
"""Any of the secrets."""
URLS: Final = (
    "jdbc:mysql://gateway:{secret}@{host}:3306/ssg",
    "jdbc:mysql://{secret}@{host}/ssg",
    "jdbc:mysql://:{secret}@{host}/ssg",
    "jdbc:mysql://gateway:p@{secret}@{host}/ssg",
    "jdbc:mysql://gateway:p%40{secret}@{host}/ssg",
    "JDBC:MySQL://gateway:{secret}@{host}/ssg",
    "jdbc:mysql:loadbalance://u:{secret}@{host},u:{secret}@{host}-b/ssg",
    "jdbc:mysql:replication://u:{secret}@{host},{host}-b/ssg",
    "jdbc:mariadb://u:{secret}@{host}/ssg",
    "jdbc:mysql://{host}/ssg?user=u&password={secret}",
    "jdbc:mysql://{host}/ssg?user={secret}",
    "jdbc:mysql://{host}/ssg?PassWord={secret}&useSSL=true",
    "jdbc:mysql://{host}/ssg?%70assword={secret}",
    "jdbc:mysql://{host}/ssg?pass%77ord={secret}",
    "jdbc:mysql://{host}/ssg?%2570assword={secret}",
    "jdbc:mysql://{host}/ssg?password1={secret}&password2={secret}",
    "jdbc:mysql://{host}/ssg?trustCertificateKeyStorePassword={secret}",
    "jdbc:mysql://{host}/ssg?clientCertificateKeyStorePassword={secret}",
    "jdbc:mariadb://{host}/ssg?keyPassword={secret}",
    "jdbc:mysql://{host}/ssg?sessionVariables=password='{secret}'",
    "jdbc:mysql://{host}/ssg?serviceToken={secret}",
    "jdbc:mysql://(host={host},user=u,password={secret})/ssg",
    "jdbc:mysql://address=(host={host})(password={secret})/ssg",
    "jdbc:mysql://{host}/ssg#password={secret}",
    "jdbc:mysql://gateway:{secret}/x@{host}/ssg",
    "jdbc:postgresql://u:{secret}@{host}/ssg",
    "mysql://u:{secret}@{host}/ssg",
    "jdbc:mysql//u:{secret}@{host}/ssg",
    "//u:{secret}@{host}/ssg?password={secret}",
)
"""JDBC URLs, good ones and bad ones."""
TEXTS: Final = tuple(text.replace("{}", "{secret}") for text in SPELLINGS if "jdbc:" not in text)
"""Lines of a log, or what a person writes into an annotation."""
IMAGES: Final = (
    "user:{secret}@registry.example.com/caapim/gateway:11.3.0",
    "user:{secret}@registry.example.com:5000/caapim/gateway@sha256:" + "a" * 64,
    "https://user:{secret}@registry.example.com/caapim/gateway:11.3.0",
)
"""Images with user info, which no container runtime takes and people write all the same."""


def secret(number: int) -> str:
    """Give the secret of this number."""
    return f"s3cr3t{number:03}x"
