#!/usr/bin/env python3
"""Writes src/kubelet_config/fields.txt: fields of KubeletConfiguration (v1beta1), with the first minor that has each.

Usage: for v in 0.33.0 0.34.1 0.35.5 0.36.3 0.37.2; do go mod download k8s.io/kubelet@v$v; done
       kubelet-fields.py $(go env GOMODCACHE) 33:0.33.0 34:0.34.1 35:0.35.5 36:0.36.3 37:0.37.2 >fields.txt

The oldest minor that is given stands for all before it. Fields of types of other modules (logging, tracing, taints) are
not listed: what is below them counts as known.
"""
import re
import sys


def structs(path):
    """Fields of each struct of a Go file: pairs of JSON name and type."""
    found = {}
    for name, body in re.findall(r'^type (\w+) struct \{\n(.*?)^\}', open(path).read(), flags=re.S | re.M):
        fields = (re.match(r'\s*\w+\s+(\S+)\s+`json:"([^"`,]+)', line) for line in body.splitlines())
        found[name] = [(field[2], field[1]) for field in fields if field]
    return found


def paths(types, name, prefix=''):
    """Dotted paths of all fields of a struct; items of a list have the path of the list."""
    for key, kind in types[name]:
        yield prefix + key
        kind = kind.replace('[]', '').replace('*', '')
        if kind in types:
            yield from paths(types, kind, f'{prefix}{key}.')


def main(cache, *minors):
    since = {}
    oldest = minors[0].split(':')[0]
    for minor, version in (pair.split(':') for pair in minors):
        types = structs(f'{cache}/k8s.io/kubelet@v{version}/config/v1beta1/types.go')
        for path in paths(types, 'KubeletConfiguration'):
            since.setdefault(path, minor)
    for path in sorted(since):
        print(path if since[path] == oldest else f'{path} {since[path]}')


main(*sys.argv[1:])
