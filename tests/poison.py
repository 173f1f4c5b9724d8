"""Checkpoints made to do harm when they are loaded, most with a hash that is right."""

import hashlib
import io
import json
import pickle
import tarfile
import zipfile

import torch

from tests.gadgets import Payload
from videoclf import checkpoint_file

_DESCRIPTION = "archive/videoclf.json"


def sealed(content, path):
    """Write bytes as a file, with the comment of a checkpoint after them: anybody can."""
    content = content[:-2] if content[-2:] == b"\0\0" else content
    comment = b"sha256:" + hashlib.sha256(content).hexdigest().encode()
    path.write_bytes(content + len(comment).to_bytes(2, "little") + comment)
    return path


def repacked(source, path, change, compression=zipfile.ZIP_STORED):
    """Copy a checkpoint with other entries: `change` edits them by name."""
    with zipfile.ZipFile(source) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return sealed(packed.getvalue(), path)


def altered(source, path, change):
    """Copy a checkpoint with another description: `change` edits it."""

    def edit(entries):
        description = json.loads(entries[_DESCRIPTION])
        change(description)
        entries[_DESCRIPTION] = json.dumps(description).encode()

    return repacked(source, path, edit)


def described(content, source, path, **options):
    """Save what torch is to pickle, with the description of a real checkpoint."""
    archive = io.BytesIO()
    torch.save(content, archive, pickle_module=pickle, **options)
    checkpoint_file.write(archive, path, checkpoint_file.describe(source))
    return path


def payload(folder):
    return Payload(folder / "canary")


def _as_weights(source, path):
    return described({"state_dict": payload(path.parent)}, source, path)


def _beside_weights(source, path):
    state = torch.load(source, weights_only=True)
    return described({**state, "callbacks": [payload(path.parent)]}, source, path)


def _in_data_pkl(source, path):
    harm = pickle.dumps(payload(path.parent), protocol=2)
    return repacked(source, path, lambda entries: entries.update({"archive/data.pkl": harm}))


def _by_opcodes(source, path):
    command = f"touch {path.parent / 'canary'}"
    harm = f'cbuiltins\neval\n(S\'__import__("os").system("{command}")\'\ntR.'.encode()
    return repacked(source, path, lambda entries: entries.update({"archive/data.pkl": harm}))


def _nested_zip(source, path):
    inner = io.BytesIO()
    torch.save(payload(path.parent), inner, pickle_module=pickle)
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("archive/data.pkl", inner.getvalue())
        archive.writestr(_DESCRIPTION, json.dumps(checkpoint_file.describe(source)))
    return sealed(outer.getvalue(), path)


def _legacy(source, path):
    archive = io.BytesIO()
    harm = {"state_dict": payload(path.parent)}
    torch.save(harm, archive, pickle_module=pickle, _use_new_zipfile_serialization=False)
    return sealed(archive.getvalue(), path)


def _tar(source, path):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            content = pickle.dumps(payload(path.parent), protocol=2)
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return sealed(archive.getvalue(), path)


def _plain_pickle(source, path):
    return sealed(pickle.dumps({"state_dict": payload(path.parent)}, protocol=2), path)


def _without_hash(source, path):
    path.write_bytes(pickle.dumps({"state_dict": payload(path.parent)}, protocol=2))
    return path


def _torch_script(source, path):
    def edit(entries):
        entries["archive/constants.pkl"] = pickle.dumps(payload(path.parent), protocol=2)
        entries["archive/code/__torch__.py"] = b"import os"

    return repacked(source, path, edit)


def _polyglot(source, path):
    """A pickle first, then the zip archive: what a reader sees depends on where it begins."""
    content = pickle.dumps(payload(path.parent), protocol=2) + source.read_bytes()
    return sealed(content[:-73], path)


def _bomb(source, path):
    zeros = bytes(100_000_000)
    return repacked(
        source,
        path,
        lambda entries: entries.update({"archive/data/0": zeros}),
        zipfile.ZIP_DEFLATED,
    )


def _huge_tensor(source, path):
    """Four numbers are stored, and ten million announced."""
    archive = io.BytesIO()
    torch.save({"state_dict": {"model.w": torch.arange(4.0)}}, archive)
    checkpoint_file.write(archive, path, checkpoint_file.describe(source))
    number = b"J" + (10_000_000).to_bytes(4, "little")

    def edit(entries):
        for before, after in ((b"K\x04t", number + b"t"), (b"K\x04\x85", number + b"\x85")):
            assert before in entries["archive/data.pkl"]
            entries["archive/data.pkl"] = entries["archive/data.pkl"].replace(before, after)

    return repacked(path, path, edit)


def _deep_description(source, path):
    deep = b"[" * 200_000 + b"]" * 200_000
    return repacked(source, path, lambda entries: entries.update({_DESCRIPTION: deep}))


def _no_description(source, path):
    return repacked(source, path, lambda entries: entries.pop(_DESCRIPTION))


def _folder(source, path):
    """What torch's own unpacked archives look like, a payload among them."""
    with zipfile.ZipFile(source) as archive:
        archive.extractall(path)
    (path / "archive" / "data.pkl").write_bytes(pickle.dumps(payload(path.parent), protocol=2))
    return path


def _link(source, path):
    target = _as_weights(source, path.with_suffix(".target"))
    path.symlink_to(target)
    return path


def _device(source, path):
    path.symlink_to("/dev/zero")
    return path


#: Makers of poisoned checkpoints: from a good one, and where to.
POISON = {
    "payload for weights": _as_weights,
    "payload beside the weights": _beside_weights,
    "payload in data.pkl": _in_data_pkl,
    "payload by opcodes": _by_opcodes,
    "archive in an archive": _nested_zip,
    "legacy format": _legacy,
    "tar format": _tar,
    "plain pickle": _plain_pickle,
    "pickle without a hash": _without_hash,
    "TorchScript": _torch_script,
    "pickle before an archive": _polyglot,
    "packed bomb": _bomb,
    "tensor larger than its bytes": _huge_tensor,
    "description nested deeply": _deep_description,
    "no description": _no_description,
    "folder": _folder,
    "link to a payload": _link,
    "link to a device": _device,
}
