"""Nodes of a config that would run code, read secrets or reach out, were they built as they stand.

Every one that runs code would leave the file `canary` behind.
"""

import pickle

import torch


class Payload:
    """What a pickle runs when it is loaded: a shell command that leaves the canary."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        import os

        return os.system, (f"touch {self.canary}",)


def runnable(folder):
    """Gadgets by name that leave `folder / "canary"` wherever targets are simply called."""
    shell = f"touch {folder / 'canary'}"
    code = f"open({str(folder / 'canary')!r}, 'w').close()"
    script = folder / "script.py"
    script.write_text(code)
    (folder / "hubconf.py").write_text(f"def model():\n    {code}\n")
    (folder / "evil_on_import.py").write_text(f"{code}\nclass Model: ...\n")
    payload, pickled = folder / "payload.pt", folder / "payload.pkl"
    torch.save(Payload(folder / "canary"), payload)
    pickled.write_bytes(pickle.dumps(Payload(folder / "canary")))
    opened = {"_target_": "builtins.open", "file": str(pickled), "mode": "rb"}
    canary = {"_target_": "pathlib.Path", "_args_": [str(folder / "canary")]}
    listed = {"_target_": "subprocess.check_output", "args": ["touch", str(folder / "canary")]}
    handlers = {"h": {"()": "os.system", "command": shell}}
    logging_config = {"version": 1, "handlers": handlers, "root": {"handlers": ["h"]}}
    return {
        "os.system": {"command": shell},
        "os.popen": {"cmd": shell},
        "posix.system": {"command": shell},
        "subprocess.Popen": {"args": ["touch", str(folder / "canary")]},
        "subprocess.run": {"args": shell, "shell": True},
        "subprocess.getoutput": {"cmd": shell},
        "subprocess.check_output": {"args": ["touch", str(folder / "canary")]},
        "builtins.eval": {"_args_": [code]},
        "builtins.exec": {"_args_": [code]},
        "timeit.timeit": {"stmt": code, "number": 1},
        "runpy.run_path": {"path_name": str(script)},
        "runpy.run_module": {"mod_name": "evil_on_import"},
        "importlib.import_module": {"name": "evil_on_import"},
        "builtins.__import__": {"name": "evil_on_import"},
        "pickle.load": {"_args_": [opened]},
        "torch.load": {"f": str(payload), "weights_only": False},
        "torch.serialization.load": {"f": str(payload), "weights_only": False},
        "torch.hub.load": {"repo_or_dir": str(folder), "model": "model", "source": "local"},
        "torch.utils.collect_env.run": {"command": shell},
        "functools.partial": {"_args_": [listed]},
        "hydra.utils.instantiate": {"config": listed},
        "hydra.utils.call": {"config": listed},
        "hydra._internal.instantiate._instantiate2.instantiate": {"config": listed},
        "logging.config.dictConfig": {"config": logging_config},
        "yaml.unsafe_load": {"stream": f"!!python/object/apply:os.system ['{shell}']"},
        "pathlib.Path.touch": {"self": canary},
        "shutil.copyfile": {"src": str(script), "dst": str(folder / "canary")},
        "builtins.open": {"file": str(folder / "canary"), "mode": "w"},
        "evil_on_import.Model": {},
        "videoclf.launch.subprocess.Popen": {"args": ["touch", str(folder / "canary")]},
        "videoclf.launch.os.system": {"command": shell},
        "videoclf.models.blocks.torchvision_weights.torch.load": {
            "f": str(payload),
            "weights_only": False,
        },
    }


def misleading(allowed, folder):
    """Nodes by name that an allowed target, `allowed`, or a name like one is to let through."""
    shell = {"_target_": "os.system", "command": f"touch {folder / 'canary'}"}
    first = next(key for key in allowed if key != "_target_")
    return {
        "inside a list": {**allowed, first: [shell]},
        "inside lists and a mapping": {**allowed, first: [[{"deep": [{"er": shell}]}]]},
        "as an argument": {**allowed, first: shell},
        "in a callback of the trainer": {
            "_target_": "pytorch_lightning.Trainer",
            "callbacks": [shell],
        },
        "positional arguments": {**allowed, "_args_": [shell["command"]]},
        "a partial": {**allowed, "_partial_": True},
        "no recursion": {**allowed, "_recursive_": False},
        "a function of ours": {
            "_target_": "videoclf.models.blocks.torchvision_weights.published_weights"
        },
        "a module of ours that is no registry": {"_target_": "videoclf.launch.start"},
        "what ours has imported": {"_target_": "videoclf.loggers.wandb.WandbLogger"},
        "past a class of ours": {
            "_target_": "videoclf.models.slow_fusion.SlowFusion.__init__.__globals__"
        },
        "an empty part": {"_target_": "videoclf.models..os.system"},
        "a path": {"_target_": "videoclf.models/../../evil_on_import.Model"},
        "a zero byte": {"_target_": "videoclf.models.a\0b.Model"},
        "a line's end": {"_target_": "videoclf.models.slow_fusion.SlowFusion\n"},
        "white space": {"_target_": " os.system", "command": shell["command"]},
        "ours as a prefix": {"_target_": "videoclf.models_evil.Model"},
        "past the trainer": {"_target_": "pytorch_lightning.Trainer.fit"},
        "another class of Lightning": {"_target_": "pytorch_lightning.cli.LightningCLI"},
        "a list for a name": {"_target_": ["os", "system"]},
        "a mapping for a name": {"_target_": shell},
        "an interpolation for a name": {"_target_": "${oc.decode:os.system}"},
        "no name": {"_target_": ""},
    }
