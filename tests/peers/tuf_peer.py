"""python-tuf as an independent signer and reader of signed updates.

  tuf_peer.py write FOLDER NOW              signs a repository, with a rotated root and a delegation
  tuf_peer.py read FOLDER ROOT NOW TARGET   reads one to its end; prints versions and the target's length
  tuf_peer.py verdicts FOLDER NOW           one line a case: its name, and "taken" or why not
"""
import pathlib
import sys
from datetime import UTC, datetime, timedelta

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (DelegatedRole, Delegations, Metadata, MetaFile, Root, Snapshot, TargetFile, Targets,
                              Timestamp)
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType


def opened(root, now):
    trusted = TrustedMetadataSet(root, EnvelopeType.METADATA)
    trusted.reference_time = now
    return trusted


def refresh(trusted, files):
    while (files / f"{trusted.root.version + 1}.root.json").exists():
        trusted.update_root((files / f"{trusted.root.version + 1}.root.json").read_bytes())
    trusted.update_timestamp((files / "timestamp.json").read_bytes())
    version = trusted.timestamp.snapshot_meta.version
    trusted.update_snapshot((files / f"{version}.snapshot.json").read_bytes())
    version = trusted.snapshot.meta["targets.json"].version
    trusted.update_delegated_targets((files / f"{version}.targets.json").read_bytes(), "targets", "root")
    return trusted


def read(folder, root, now, name):
    trusted = refresh(opened(pathlib.Path(root).read_bytes(), now), folder)
    print("versions", trusted.root.version, trusted.timestamp.version, trusted.snapshot.version,
          trusted.targets.version)
    print("length", trusted.targets.targets[name].length)


def verdicts(folder, now):
    root = (folder / "1.root.json").read_bytes()
    for case in sorted(folder.glob("case-*")):
        try:
            refresh(opened(root, now), case)
            print(case.name, "taken")
        except (RepositoryError, ValueError, KeyError, OSError, TypeError, AttributeError, RecursionError) as error:
            print(case.name, type(error).__name__)


def write(folder, now):
    expires = now + timedelta(days=30)
    signers = {role: CryptoSigner.generate_ed25519() for role in ["root", "timestamp", "snapshot", "targets", "pv"]}
    root = Root(expires=expires, consistent_snapshot=True)
    for role in ["root", "timestamp", "snapshot", "targets"]:
        root.add_key(signers[role].public_key, role)
    save(folder / "1.root.json", root, [signers["root"]])
    # The root key is replaced, and a second one joins.
    old, signers["root"] = signers["root"], CryptoSigner.generate_ed25519()
    second = CryptoSigner.generate_ed25519()
    root.version = 2
    root.revoke_key(old.public_key.keyid, "root")
    for signer in [signers["root"], second]:
        root.add_key(signer.public_key, "root")
    root.roles["root"].threshold = 2
    root.unrecognized_fields["note"] = "für später: \"\\"
    save(folder / "2.root.json", root, [old, signers["root"], second])

    pv = Targets(expires=expires)
    pv.targets["pv/one"] = TargetFile.from_data("pv/one", b"pv")
    save(folder / "1.pv.json", pv, [signers["pv"]])
    targets = Targets(version=3, expires=expires)
    target = TargetFile.from_data("models/load-7", b"weights")
    target.unrecognized_fields["custom"] = {"sunkeep": {"payload": "model", "channel": "load", "release": 7}}
    targets.targets["models/load-7"] = target
    targets.delegations = Delegations({}, {"pv": DelegatedRole("pv", [], 1, True, ["pv/*"])})
    targets.add_key(signers["pv"].public_key, "pv")
    body = save(folder / "3.targets.json", targets, [signers["targets"]])
    snapshot = Snapshot(version=4, expires=expires, meta={
        "targets.json": MetaFile(3, len(body), {"sha256": digest(body)}), "pv.json": MetaFile(1)})
    body = save(folder / "4.snapshot.json", snapshot, [signers["snapshot"]])
    timestamp = Timestamp(version=5, expires=expires,
                          snapshot_meta=MetaFile(4, len(body), {"sha256": digest(body)}))
    save(folder / "timestamp.json", timestamp, [signers["timestamp"]])
    print("written")


def digest(body):
    import hashlib
    return hashlib.sha256(body).hexdigest()


def save(file, signed, signers):
    document = Metadata(signed)
    for signer in signers:
        document.sign(signer, append=True)
    body = document.to_bytes()
    file.write_bytes(body)
    return body


def main():
    command, folder, *rest = sys.argv[1:]
    folder = pathlib.Path(folder)
    if command == "read":
        root, now, name = rest
        read(folder, root, datetime.fromtimestamp(int(now), UTC), name)
    elif command == "verdicts":
        verdicts(folder, datetime.fromtimestamp(int(rest[0]), UTC))
    else:
        write(folder, datetime.fromtimestamp(int(rest[0]), UTC))


main()
