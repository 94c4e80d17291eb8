"""An authority of one's own, and a certificate from it for each part of a team's installation.

    python -m codequarry.compose.certificates FOLDER PART[:UID[:NAME,NAME…]] …

FOLDER/ca gets ca.pem alone; FOLDER/PART gets ca.pem, certificate.pem and key.pem, which that user alone can read. A certificate
holds for the part's name, localhost and the names that are given. The authority's own key is never written down: nobody can
make a further certificate that these parts would trust, and to change one is to make all of them anew.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from codequarry.errors import BadInput

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, CertificateBuilder, GeneralName, Name

DAYS = 3650
"""How long they hold: an installation that ends by itself is found out at the worst moment."""


class Part(NamedTuple):
    """Who gets a certificate. `user`: the id of the user that reads its key; -1: whoever makes it."""

    name: str
    user: int = -1
    names: tuple[str, ...] = ()


def read_part(text: str) -> Part:
    """The part that is written as PART[:UID[:NAME,NAME…]].

    Raises:
        BadInput: it is none.
    """
    name, _, rest = text.partition(":")
    user, _, names = rest.partition(":")
    if not name.isidentifier() or name == "ca" or not (user or "0").isdecimal():
        raise BadInput(
            f"{text!r} is no part", hint="PART:UID:NAME,NAME, such as redis:999 or service:10001:search.example.com"
        )
    return Part(name, int(user) if user else -1, tuple(filter(None, (one.strip() for one in names.split(",")))))


def make(folder: Path, parts: Sequence[Part]) -> bool:
    """Makes what is missing: nothing where everything is there, else all of it. Returns whether anything was made."""
    done = folder / "ca" / "ca.pem"
    files = ("ca.pem", "certificate.pem", "key.pem")
    if done.is_file() and all((folder / part.name / file).is_file() for part in parts for file in files):
        return False
    done.unlink(missing_ok=True)  # written last: what is cut off half-way is made anew
    authority = _authority()
    ca = _pem(authority[0])
    for part in parts:
        certificate, key = _certificate(authority, part)
        place = folder / part.name
        place.mkdir(parents=True, exist_ok=True)
        for name, data in zip(files, (ca, _pem(certificate), _key_pem(key)), strict=True):
            _write(place / name, data, 0o400, part.user)
        os.chown(place, part.user, -1)
        place.chmod(0o700)
    done.parent.mkdir(parents=True, exist_ok=True)
    done.parent.chmod(0o755)
    _write(done, ca, 0o444, -1)
    return True


def _authority() -> tuple[Certificate, EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "codequarry's own authority")])
    builder = _begin(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return _sign(_usage(builder, signs=True), key, key), key


def _certificate(
    authority: tuple[Certificate, EllipticCurvePrivateKey], part: Part
) -> tuple[Certificate, EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, part.name)])
    names = dict.fromkeys((part.name, "localhost", "127.0.0.1", *part.names))
    # Nodes of Elasticsearch are each other's clients, with the same certificate.
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _begin(name, authority[0].subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_name(one) for one in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
    )
    return _sign(_usage(builder, signs=False), key, authority[1]), key


def _begin(subject: Name, issuer: Name, key: EllipticCurvePrivateKey) -> CertificateBuilder:
    from cryptography import x509

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # the clock of another machine may be behind
        .not_valid_after(now + timedelta(days=DAYS))
    )


def _usage(builder: CertificateBuilder, *, signs: bool) -> CertificateBuilder:
    from cryptography import x509

    usage = x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return builder.add_extension(usage, critical=True)


def _sign(builder: CertificateBuilder, key: EllipticCurvePrivateKey, by: EllipticCurvePrivateKey) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    whose = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key())
    return builder.add_extension(whose, critical=False).add_extension(signer, critical=False).sign(by, hashes.SHA256())


def _name(name: str) -> GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, data: bytes, mode: int, user: int) -> None:
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    os.chown(new, user, -1)
    new.chmod(mode)
    new.replace(path)


def main(arguments: list[str]) -> int:
    """The command line in the module's docstring; returns the exit status."""
    if len(arguments) < 2:
        sys.stderr.write(__doc__ or "")
        return 2
    try:
        made = make(Path(arguments[0]), [read_part(text) for text in arguments[1:]])
    except BadInput as error:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")
        return 2
    sys.stdout.write("certificates: made\n" if made else "certificates: all there\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
