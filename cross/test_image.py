"""What cross/image writes, read back by the words of the specification. `python3 -m unittest discover cross` runs it."""

import gzip
import hashlib
import importlib.machinery
import importlib.util
import io
import json
import tarfile
import unittest
from pathlib import Path

loader = importlib.machinery.SourceFileLoader("image", str(Path(__file__).parent / "image"))
image = importlib.util.module_from_spec(importlib.util.spec_from_loader("image", loader))
loader.exec_module(image)

BINARIES = [("linux/arm64", b"\x7fELF arm64"), ("linux/arm/v6", b"\x7fELF arm"), ("linux/arm/v7", b"\x7fELF arm")]


def made():
    return image.images(BINARIES, b"certificates", "1.2.3", 1_793_491_200)


def members(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {info.name: (info, archive.extractfile(info).read() if info.isfile() else None) for info in archive}


class Archive:
    """An archive whose blobs are what their names say."""

    def __init__(self, test, data):
        self.files = {name: content for name, (_, content) in members(data).items()}
        self.test = test
        for name, content in self.files.items():
            if name.startswith("blobs/sha256/"):
                test.assertEqual(name, "blobs/sha256/" + hashlib.sha256(content).hexdigest())
        test.assertEqual(json.loads(self.files["oci-layout"]), {"imageLayoutVersion": "1.0.0"})

    def blob(self, descriptor):
        content = self.files["blobs/" + descriptor["digest"].replace(":", "/")]
        self.test.assertEqual(len(content), descriptor["size"])
        return content

    def document(self, descriptor):
        return json.loads(self.blob(descriptor))

    def index(self):
        return json.loads(self.files["index.json"])["manifests"]


class Image(unittest.TestCase):
    def test_names(self):
        names = ["tidegate-1.2.3-linux-arm64.oci.tar", "tidegate-1.2.3-linux-arm-v6.oci.tar", "tidegate-1.2.3-linux-arm-v7.oci.tar"]
        self.assertEqual(sorted(made()), sorted([*names, "tidegate-1.2.3.oci.tar"]))

    def test_an_image_is_its_binary_and_little_else(self):
        archive = Archive(self, made()["tidegate-1.2.3-linux-arm64.oci.tar"])
        (descriptor,) = archive.index()
        self.assertEqual(descriptor["platform"], {"os": "linux", "architecture": "arm64"})
        # By this podman names it; by the other alone it would be `localhost/1.2.3`.
        self.assertEqual(descriptor["annotations"]["io.containerd.image.name"], "docker.io/library/tidegate:1.2.3")
        self.assertEqual(descriptor["annotations"]["org.opencontainers.image.ref.name"], "1.2.3")
        manifest = archive.document(descriptor)
        config = archive.document(manifest["config"])
        self.assertEqual(config["config"]["User"], "65532:65532")
        (layer,) = manifest["layers"]
        plain = gzip.decompress(archive.blob(layer))
        self.assertEqual(config["rootfs"]["diff_ids"], ["sha256:" + hashlib.sha256(plain).hexdigest()])
        files = members(plain)
        programs = [name for name, (info, _) in files.items() if info.isfile() and info.mode & 0o111]
        self.assertEqual(programs, ["usr/bin/tidegate"])
        self.assertEqual(files["usr/bin/tidegate"][1], b"\x7fELF arm64")
        self.assertEqual(config["config"]["Entrypoint"], ["/usr/bin/tidegate"])
        owned = [name for name, (info, _) in files.items() if info.uid]
        self.assertEqual(owned, ["var/lib/tidegate"])
        self.assertIn(config["config"]["Cmd"][-1].lstrip("/"), files)

    def test_the_index_has_every_platform_and_each_layer_once(self):
        archive = Archive(self, made()["tidegate-1.2.3.oci.tar"])
        (index,) = archive.index()
        manifests = archive.document(index)["manifests"]
        wanted = [image.platform(where) for where, _ in BINARIES]
        self.assertEqual([found["platform"] for found in manifests], wanted)
        layers = {archive.document(found)["layers"][0]["digest"] for found in manifests}
        self.assertEqual(len(layers), 2)
        for found in manifests:
            config = archive.document(archive.document(found)["config"])
            self.assertEqual({key: config.get(key) for key in found["platform"]}, found["platform"])

    def test_docker_finds_the_same(self):
        archive = Archive(self, made()["tidegate-1.2.3-linux-arm-v6.oci.tar"])
        (entry,) = json.loads(archive.files["manifest.json"])
        manifest = archive.document(archive.index()[0])
        self.assertEqual(archive.files[entry["Config"]], archive.blob(manifest["config"]))
        self.assertEqual([archive.files[name] for name in entry["Layers"]], [archive.blob(manifest["layers"][0])])
        self.assertEqual(entry["RepoTags"], ["tidegate:1.2.3"])

    def test_the_same_bytes_again(self):
        self.assertEqual(made(), made())


if __name__ == "__main__":
    unittest.main()
