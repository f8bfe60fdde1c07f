"""The bill of materials of an installed streamagg, as CycloneDX JSON: ``python -m supply.sbom FILE``.

Lists what the lock of the image pins for this platform, with the hashes of the files that it accepts and the
licence of each, and inside each package the libraries that its wheel bundles; and what is kept in the
repository.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from supply.bundled import IMAGE_LOCK, Bundled, all_bundled
from supply.pins import Pin, read_pins
from supply.vendored import VENDOR, Vendored, read_vendored

EXTRAS: Final = ("http", "parquet", "postgres", "serve", "watch")
"""That the image has."""
CLASSIFIED: Final = {
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""SPDX names of licences in classifiers, which older packages have instead of an expression."""

_licenses: Final = LicenseFactory()


def bill_of_materials(lock: Path = IMAGE_LOCK) -> Bom:
    """Of the packages of a lock that this platform needs.

    Raises PackageNotFoundError when one of them is not installed.
    """
    pins = {_canonical(pin.name): pin for pin in read_pins(lock) if pin.applies}
    packages = {name: _package(pin) for name, pin in pins.items()}
    for name, parts in _by_package(all_bundled(lock)).items():
        packages[name].components.update(_nested(name, parts))
    vendored = [_vendored(one) for one in read_vendored()]
    bom = Bom(components=[*packages.values(), *vendored])
    own = distribution("streamagg")
    bom.metadata.component = root = _component(own, ComponentType.APPLICATION)
    bom.register_dependency(
        root, [packages[name] for name in _needs(own, EXTRAS) & packages.keys()] + vendored
    )
    for library in vendored:
        bom.register_dependency(library)
    for name, component in packages.items():
        needed = [packages[other] for other in _needs(distribution(name)) & packages.keys()]
        bom.register_dependency(component, [*needed, *component.components])
    return bom


def _package(pin: Pin) -> Component:
    component = _component(distribution(pin.name), ComponentType.LIBRARY)
    accepted = [HashType(alg=HashAlgorithm.SHA_256, content=content) for content in pin.sha256]
    component.external_references.add(
        ExternalReference(
            type=ExternalReferenceType.DISTRIBUTION,
            url=XsUri(str(component.purl)),
            comment="any of the files that the lock accepts",
            hashes=accepted,
        )
    )
    return component


def _component(package: Distribution, kind: ComponentType) -> Component:
    name = _canonical(package.metadata["Name"])
    purl = PackageURL("pypi", name=name, version=package.version)
    return Component(
        name=name,
        version=package.version,
        type=kind,
        purl=purl,
        bom_ref=str(purl),
        licenses=list(_licenses_of(package)),
    )


def _licenses_of(package: Distribution) -> Iterator[License]:
    """The expression of a package, or what its classifiers or its field say."""
    metadata = package.metadata
    named = [
        line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier", ()) if "License ::" in line
    ]
    if "License-Expression" in metadata:
        yield _licenses.make_from_string(metadata["License-Expression"])
    elif named:
        yield _licenses.make_from_string(" OR ".join(CLASSIFIED.get(name, name) for name in named))
    elif "License" in metadata:
        yield _licenses.make_from_string(metadata["License"].splitlines()[0])


def _needs(package: Distribution, extras: Sequence[str] = ("",)) -> set[str]:
    """Names of what a package requires here, with one or more of its extras or none."""
    wanted = map(Requirement, package.requires or ())
    return {
        _canonical(each.name)
        for each in wanted
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras)
    }


def _canonical(name: str) -> str:
    return str(canonicalize_name(name))


def _by_package(found: Iterable[Bundled]) -> dict[str, list[Bundled]]:
    grouped: dict[str, list[Bundled]] = {}
    for each in found:
        grouped.setdefault(_canonical(each.package), []).append(each)
    return grouped


def _nested(package: str, found: Iterable[Bundled]) -> list[Component]:
    """Libraries of a package; those linked into another one stand inside it."""
    top: dict[str, Component] = {}
    for each in found:
        inside = top[each.within].components if each.within else None
        component = _library(package, each)
        if inside is None:
            top.setdefault(each.name if each.file else each.purl, component)
        else:
            inside.add(component)
    return list(top.values())


def _library(package: str, found: Bundled) -> Component:
    return Component(
        name=found.name,
        version=found.version,
        type=ComponentType.LIBRARY,
        purl=PackageURL.from_string(found.purl),
        bom_ref=f"{package}/{found.within or ''}/{found.purl}",
        description=f"bundled in {found.file}" if found.file else None,
        licenses=[_licenses.make_from_string(found.license)] if found.license else (),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=found.sha256)] if found.sha256 else (),
    )


def _vendored(found: Vendored) -> Component:
    """With its files inside."""
    purl = PackageURL.from_string(found.purl)
    return Component(
        name=found.name,
        version=found.version,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=str(purl),
        licenses=[_licenses.make_from_string(found.license)],
        components=[
            Component(
                name=f"{VENDOR.relative_to(VENDOR.parents[3])}/{file}",
                type=ComponentType.FILE,
                bom_ref=f"{purl}/{file}",
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=content)],
            )
            for file, content in found.sha256.items()
        ],
    )


def main() -> int:
    """Write the document to the file that is named."""
    if len(sys.argv) != 2:
        print("usage: python -m supply.sbom FILE", file=sys.stderr)
        return 2
    bom = bill_of_materials()
    Path(sys.argv[1]).write_text(JsonV1Dot6(bom).output_as_string(indent=1) + "\n")
    print(f"{sys.argv[1]}: {len(bom.components)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
