"""Which crates a program is linked from, as scanners read it.

Standard input is what `cargo metadata` says, the argument is the program's package. Standard output is JSON that is
compressed with zlib: the format of `cargo auditable`, which goes into the program as the section `.dep-v0`.
"""

import json
import sys
import zlib


def kinds(metadata, program):
    """The packages that are reached from the program's, each with whether it is linked or only builds others."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = next(id for id, package in packages.items() if package["name"] == program)
    found = {}
    rest = [(root, "runtime")]
    while rest:
        id, kind = rest.pop()
        targets = [kind for target in packages[id]["targets"] for kind in target["kind"]]
        # A macro runs in the compiler, and so does what it is made of.
        if "proc-macro" in targets:
            kind = "build"
        if found.get(id) in (kind, "runtime"):
            continue
        found[id] = kind
        for dependency in nodes[id]["deps"]:
            for way in dependency["dep_kinds"]:
                if way["kind"] != "dev":
                    rest.append((dependency["pkg"], kind if way["kind"] is None else "build"))
    return root, packages, nodes, found


def source(package):
    """Where a package is from, in a word."""
    place = package["source"]
    if place is None:
        return "local"
    if place.startswith("git+"):
        return "git"
    return place.rsplit("/", 1)[-1].removesuffix("-index")


def main(program):
    root, packages, nodes, found = kinds(json.load(sys.stdin), program)
    order = sorted(found, key=lambda id: (packages[id]["name"], packages[id]["version"], id))
    places = {id: place for place, id in enumerate(order)}
    listed = []
    for id in order:
        package = packages[id]
        entry = {"name": package["name"], "version": package["version"], "source": source(package)}
        if found[id] == "build":
            entry["kind"] = "build"
        needs = [
            places[dependency["pkg"]]
            for dependency in nodes[id]["deps"]
            if any(way["kind"] != "dev" for way in dependency["dep_kinds"])
        ]
        if needs:
            entry["dependencies"] = sorted(set(needs))
        if id == root:
            entry["root"] = True
        listed.append(entry)
    text = json.dumps({"packages": listed, "format": 1}, separators=(",", ":"))
    sys.stdout.buffer.write(zlib.compress(text.encode(), 9))


main(sys.argv[1])
