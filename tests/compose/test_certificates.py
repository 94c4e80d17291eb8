"""Certificates of a team's installation: what the parts trust, and who can read the keys."""

from __future__ import annotations

import os
import socket
import ssl
import stat
import threading

import pytest

from codequarry.compose import certificates
from codequarry.compose.certificates import Part, make, read_part
from codequarry.errors import BadInput


def shake(folder, name, ca):
    """A handshake of a client that trusts `ca` and asks for `name`, with who has the certificate in `folder`."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    client = ssl.create_default_context(cafile=ca)
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    one, other = socket.socketpair()

    def answer():
        try:
            server.wrap_socket(one, server_side=True).close()
        except OSError:
            one.close()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        with client.wrap_socket(other, server_hostname=name) as made:
            return made.version()
    finally:
        other.close()
        thread.join()


def test_a_part_is_trusted_by_its_names_alone_and_by_those_who_have_the_authority(tmp_path):
    assert make(tmp_path, [Part("redis"), Part("service", -1, ("search.example.com", "192.0.2.7"))])
    ca = tmp_path / "ca" / "ca.pem"
    for folder, names in (("redis", ["redis"]), ("service", ["service", "search.example.com", "192.0.2.7"])):
        for name in [*names, "localhost", "127.0.0.1"]:
            assert shake(tmp_path / folder, name, ca) == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake(tmp_path / "redis", "service", ca)
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        shake(tmp_path / "redis", "redis", None)


def test_keys_are_readable_by_their_user_alone_and_the_authority_has_none(tmp_path):
    make(tmp_path, [Part("redis", os.getuid())])
    modes = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode)
        for path in tmp_path.rglob("*")
        if path.name != "ca"
    }
    assert modes == {
        "ca/ca.pem": 0o444,
        "redis": 0o700,
        "redis/ca.pem": 0o400,
        "redis/certificate.pem": 0o400,
        "redis/key.pem": 0o400,
    }
    assert b"PRIVATE" not in (tmp_path / "ca" / "ca.pem").read_bytes()


def test_what_is_there_stays_and_when_a_file_is_missing_all_are_made_anew(tmp_path):
    parts = [Part("redis"), Part("service")]
    make(tmp_path, parts)
    before = (tmp_path / "ca" / "ca.pem").read_bytes()
    assert not make(tmp_path, parts)
    assert (tmp_path / "ca" / "ca.pem").read_bytes() == before
    (tmp_path / "service" / "key.pem").unlink()
    assert make(tmp_path, parts)
    assert (tmp_path / "ca" / "ca.pem").read_bytes() != before
    for part in parts:
        assert shake(tmp_path / part.name, part.name, tmp_path / "ca" / "ca.pem")


def test_a_part_is_read_as_it_is_written():
    assert read_part("redis") == Part("redis")
    assert read_part("redis:999") == Part("redis", 999)
    assert read_part("service:10001:") == Part("service", 10001)
    assert read_part("service:10001:a.example, 10.0.0.1") == Part("service", 10001, ("a.example", "10.0.0.1"))
    for wrong in ("", "../up", "ca", "ca:0", "redis:root"):
        with pytest.raises(BadInput):
            read_part(wrong)


def test_the_command_line_says_what_it_did(tmp_path, capsys):
    words = [str(tmp_path), f"redis:{os.getuid()}"]
    assert [certificates.main(words), certificates.main(words), certificates.main([str(tmp_path), "ca"])] == [0, 0, 2]
    assert capsys.readouterr().out == "certificates: made\ncertificates: all there\n"
    assert certificates.main([]) == 2
