import json
import platform
import subprocess
import sys

from videoclf.reports.environment import collect_environment


def test_versions_and_device():
    environment = collect_environment("made-up device", packages=("numpy", "no-such-package"))
    assert environment["device"] == "made-up device"
    assert environment["python"] == platform.python_version()
    assert environment["cpu_count"] >= 1
    assert list(environment["packages"]) == ["numpy"]
    json.dumps(environment)


def test_neither_variables_nor_the_machine_are_told(monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "do-not-tell")
    text = json.dumps(collect_environment("cpu"))
    assert "do-not-tell" not in text
    assert platform.node() not in text or len(platform.node()) < 3


def test_reports_import_without_torch_or_hydra():
    modules = "html, summary, results, environment, predictions, metrics_csv"
    code = (
        f"from videoclf.reports import {modules}; import sys;"
        "print(sorted({'torch', 'hydra', 'omegaconf'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
