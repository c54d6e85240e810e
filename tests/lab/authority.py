# SPDX-License-Identifier: BSD-2-Clause
"""A certificate authority for the lab, by the openssl program."""
import pathlib
import subprocess

DAY = 86400
KINDS = {"ecdsa": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["-newkey", "rsa:2048"]}


def openssl(*arguments, check=True, text=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=text, capture_output=True, text=True,
                          check=check, timeout=60)


class Issued:
    """A certificate's files: `pem` is the chain, `key` its private key."""

    def __init__(self, pem, key):
        self.pem, self.key = pem, key

    def fingerprint(self):
        line = openssl("x509", "-in", self.pem, "-noout", "-fingerprint", "-sha256").stdout
        return line.split("=")[1].strip().replace(":", "").lower()


class Authority:
    """Issues certificates, valid for three months unless said otherwise."""

    def __init__(self, home, name="Lab Authority"):
        self.home = pathlib.Path(home) / name.replace(" ", "-")
        self.home.mkdir()
        self.pem, self.key = self.home / "ca.pem", self.home / "ca.key"
        openssl("req", "-x509", *KINDS["ecdsa"], "-nodes", "-keyout", self.key, "-out", self.pem, "-days", 365,
                "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature")

    def issue(self, label, names=(), kind="ecdsa", subject=None, client=False, days=90):
        """@names: of hosts, or "IP:127.0.0.1". @days: negative for one that has expired."""
        request, pem, key, extensions = (self.home / f"{label}.{end}" for end in ("csr", "pem", "key", "ext"))
        openssl("req", *KINDS[kind], "-nodes", "-keyout", key, "-out", request,
                "-subj", subject or f"/CN={label}")
        lines = ["basicConstraints=CA:FALSE", f"extendedKeyUsage={'clientAuth' if client else 'serverAuth'}"]
        if names:
            lines.append("subjectAltName=" + ",".join(name if name.startswith("IP:") else f"DNS:{name}" for name in names))
        extensions.write_text("\n".join(lines))
        openssl("x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self.key, "-out", pem,
                "-CAcreateserial", "-days", days, "-extfile", extensions)
        pem.write_text(pem.read_text() + self.pem.read_text())
        return Issued(pem, key)

    def staple(self, issued, status="V"):
        """An OCSP response about it: "V" good, "R" revoked."""
        serial = openssl("x509", "-in", issued.pem, "-noout", "-serial").stdout.split("=")[1].strip()
        index, out = self.home / "index.txt", issued.pem.with_suffix(".ocsp")
        revoked = "260101000000Z" if status == "R" else ""
        index.write_text(f"{status}\t491231235959Z\t{revoked}\t{serial}\tunknown\t/CN=x\n")
        request = self.home / "request.der"
        openssl("ocsp", "-issuer", self.pem, "-cert", issued.pem, "-reqout", request, "-no_nonce")
        openssl("ocsp", "-index", index, "-rsigner", self.pem, "-rkey", self.key, "-CA", self.pem,
                "-reqin", request, "-respout", out, "-ndays", 7)
        return out
