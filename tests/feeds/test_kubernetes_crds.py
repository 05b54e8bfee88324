"""The check against CRDs: schemas by hand, each rule of an API server with what it takes and what it refuses."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from placement.feeds.kubernetes import cel
from placement.feeds.kubernetes.cel import escaped, judged, values
from placement.feeds.kubernetes.crds import CrdError, CrdFaultsError, CrdReport, Crds, check, check_folder, read_crds

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "format": "int32"}


def of(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


def crd(spec: Schema, *, scope: str = "Namespaced", **root: Any) -> Schema:
    schema = of(apiVersion=TEXT, kind=TEXT, metadata={"type": "object"}, spec=spec) | root
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "spec": {"group": "toys.example", "names": {"kind": "Toy"}, "scope": scope, "versions": [version]},
    }


def crds(tmp_path: Path, spec: Schema, **more: Any) -> Crds:
    (tmp_path / "toys.json").write_text(json.dumps(crd(spec, **more)))
    return read_crds(tmp_path)


def toy(spec: Any, **metadata: Any) -> Schema:
    return {"apiVersion": "toys.example/v1", "kind": "Toy", "metadata": {"name": "bear"} | metadata, "spec": spec}


def report(known: Crds, *items: Schema) -> CrdReport:
    return check({"toys.json": json.dumps({"kind": "List", "items": items}).encode()}, known)


def said(known: Crds, spec: Any) -> list[tuple[str, str]]:
    """Where the faults of a spec are, and the first word of each."""
    return [(wrong.fault.path, wrong.fault.message) for wrong in report(known, toy(spec)).faults]


def test_a_field_that_the_schema_does_not_know_is_a_fault_and_a_map_takes_any(tmp_path: Path) -> None:
    known = crds(tmp_path, of(size=WHOLE, labels={"type": "object", "additionalProperties": TEXT}))
    assert said(known, {"size": 3, "labels": {"anything": "goes"}}) == []
    assert [path for path, _ in said(known, {"sizes": 3, "labels": {"a": 3}})] == ["spec.labels.a", "spec.sizes"]


def test_fields_are_kept_where_the_schema_says_so_and_checked_where_it_knows_them(tmp_path: Path) -> None:
    free = of(size=WHOLE) | {"x-kubernetes-preserve-unknown-fields": True}
    known = crds(tmp_path, of(free=free))
    assert said(known, {"free": {"whatever": {"is": ["there"]}}}) == []
    assert [path for path, _ in said(known, {"free": {"size": "big"}})] == ["spec.free.size"]


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (WHOLE, [0, 2**31 - 1], [2**31, "3", 1.5, None, True]),
        ({"type": "integer", "format": "int64"}, [2**63 - 1], [2**63]),
        ({"type": "number", "minimum": 0, "exclusiveMinimum": True}, [1, 0.5], [0, -1]),
        (TEXT | {"pattern": "^[a-z]+$", "maxLength": 3}, ["abc"], ["abcd", "A", 1]),
        (TEXT | {"enum": ["A", "B"]}, ["A"], ["C", None]),
        (TEXT | {"enum": ["A"], "nullable": True}, ["A", None], ["C"]),
        (TEXT | {"nullable": True}, ["x", None], [3]),
        ({"x-kubernetes-int-or-string": True}, [3, "25%"], [2.5, [], None]),
        ({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}, [3, "25%"], [[]]),
        (TEXT | {"format": "date-time"}, ["2026-11-22T10:00:00Z"], ["yesterday"]),
        ({"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"}, [["a", "b"]], [["a", "a"]]),
        (
            of(a=TEXT, b=TEXT) | {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
            [{"a": "x"}],
            [{}, {"a": "", "b": ""}],
        ),
        (of(a=TEXT) | {"required": ["a"]}, [{"a": ""}], [{}, {"a": None}]),
    ],
)
def test_values_are_held_against_the_schema(tmp_path: Path, schema: Schema, good: list[Any], bad: list[Any]) -> None:
    known = crds(tmp_path, of(it=schema))
    assert [said(known, {"it": value}) for value in good] == [[] for _ in good]
    assert all(said(known, {"it": value}) for value in bad)


def test_a_list_that_is_a_map_holds_each_key_once_with_defaults_filled_in(tmp_path: Path) -> None:
    port = of(port=WHOLE, protocol=TEXT | {"default": "TCP"}) | {"required": ["port", "protocol"]}
    ports = {"type": "array", "items": port, "x-kubernetes-list-type": "map"}
    known = crds(tmp_path, of(ports=ports | {"x-kubernetes-list-map-keys": ["port", "protocol"]}))
    assert said(known, {"ports": [{"port": 1}, {"port": 1, "protocol": "UDP"}]}) == []
    (fault,) = said(known, {"ports": [{"port": 1}, {"port": 1, "protocol": "TCP"}]})
    assert fault == ("spec.ports[1]", "{'port': 1, 'protocol': 'TCP'} stands in this list twice")


def test_an_object_in_an_object_has_its_own_metadata(tmp_path: Path) -> None:
    inner = of(data=TEXT) | {"x-kubernetes-embedded-resource": True}
    known = crds(tmp_path, of(template=inner))
    whole = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "inner"}, "data": "x"}
    assert said(known, {"template": whole}) == []
    assert [p for p, _ in said(known, {"template": whole | {"metadata": {"name": "No"}}})] == [
        "spec.template.metadata.name"
    ]


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({"name": "Bear"}, "metadata.name"),
        ({"labels": {"a/b/c": "x"}}, "metadata.labels"),
        ({"labels": {"a": "no blanks"}}, "metadata.labels"),
        ({"annotations": {"a": 3}}, "metadata.annotations"),
        ({"annotations": {"a": "x" * 262_144}}, "metadata.annotations"),
        ({"lables": {}}, "metadata.lables"),
    ],
)
def test_metadata_that_no_server_takes_are_faults(tmp_path: Path, metadata: Schema, path: str) -> None:
    known = crds(tmp_path, of())
    assert report(known, toy({}, labels={"a.b/c": "D_1"}, annotations={"a/b": "any text"})).faults == ()
    assert [wrong.fault.path for wrong in report(known, toy({}, **metadata)).faults] == [path]


def test_kinds_of_the_cluster_have_no_namespace(tmp_path: Path) -> None:
    known = crds(tmp_path, of(), scope="Cluster")
    assert [wrong.fault.path for wrong in report(known, toy({}, namespace="a")).faults] == ["metadata.namespace"]


def test_kinds_of_kubernetes_itself_are_counted_and_others_without_a_schema_are_faults(tmp_path: Path) -> None:
    known = crds(tmp_path, of())
    versions = ("toys.example/v1", "toys.example/v2", "v1", "networking.k8s.io/v1", "gateway.networking.k8s.io/v1")
    found = report(known, *(toy({}) | {"apiVersion": version} for version in versions))
    assert found.checked == {"toys.example/v1 Toy": 1}
    assert found.own == {"v1 Toy": 1, "networking.k8s.io/v1 Toy": 1}
    told = list(map(str, found.faults))
    assert "toys.json: Toy bear: apiVersion: v2 is not served; toys.example serves v1" in told
    no_crd = "kind: there is no CRD of gateway.networking.k8s.io's Toy; add that of your clusters to the folder"
    assert f"toys.json: Toy bear: {no_crd}" in told


def test_an_object_stands_in_a_file_once(tmp_path: Path) -> None:
    known = crds(tmp_path, of())
    assert report(known, toy({}, namespace="a"), toy({}, namespace="b")).faults == ()
    assert [wrong.fault.message for wrong in report(known, toy({}), toy({})).faults] == ["stands twice in this file"]


def ruled(rule: str, **more: Any) -> Schema:
    return {"x-kubernetes-validations": [{"rule": rule} | more]}


def test_rules_are_asked_where_they_stand_with_defaults_filled_in(tmp_path: Path) -> None:
    least = of(least=WHOLE | {"default": 1}, most=WHOLE) | ruled(
        "self.least <= self.most", message="least is most at most"
    )
    known = crds(tmp_path, of(ranges={"type": "array", "items": least}))
    assert said(known, {"ranges": [{"most": 1}, {"least": 2, "most": 3}]}) == []
    assert said(known, {"ranges": [{"most": 3}, {"most": 0}]}) == [("spec.ranges[1]", "least is most at most")]


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("has(self.a) != has(self.b)", {"a": "x"}, {"a": "x", "b": "x"}),
        (
            "!has(self.list) || self.list.all(x, self.list.exists_one(y, y == x))",
            {"list": ["a", "b"]},
            {"list": ["a", "a"]},
        ),
        ("self.a.matches(r'''^[a-z]+$''')", {"a": "abc"}, {"a": "ABC"}),
        ("self.a.split('/')[0].size() < 3", {"a": "ab/cdef"}, {"a": "abc/d"}),
        ("duration(self.a) < duration('1m')", {"a": "59s"}, {"a": "2m"}),
        ("self.number / 2.0 > 1.0", {"number": 3}, {"number": 2}),
        (
            "self.__namespace__ == 'a' && self.with__dash__dash == 'b'",
            {"namespace": "a", "with-dash": "b"},
            {"namespace": "b", "with-dash": "b"},
        ),
        ("'any.key' in self.map && self.map['any.key'] == 'x'", {"map": {"any.key": "x"}}, {"map": {"any.key": "y"}}),
        ("self.a == 'x'", {"a": "x"}, {}),  # an error is no leave
        ("self.?a.orValue('x') == 'x'", {}, {"a": "y"}),
    ],
)
def test_rules_in_cel(tmp_path: Path, rule: str, good: Schema, bad: Schema) -> None:
    fields = of(
        a=TEXT, b=TEXT, number={"type": "number"}, namespace=TEXT, map={"type": "object", "additionalProperties": TEXT}
    )
    fields["properties"] |= {"with-dash": TEXT, "list": {"type": "array", "items": TEXT}}
    known = crds(tmp_path, fields | ruled(rule))
    assert said(known, good) == []
    ((path, message),) = said(known, bad)
    assert path == "spec"
    assert rule in message


def test_rules_of_changes_are_not_asked_of_new_objects_and_unknown_functions_are_named(tmp_path: Path) -> None:
    spec = of(a=TEXT) | {
        "x-kubernetes-validations": [{"rule": "self == oldSelf"}, {"rule": "quantity(self.a).sign() > 0"}]
    }
    found = report(crds(tmp_path, spec), toy({"a": "1"}))
    assert found.faults == ()
    ((only),) = found.unchecked
    assert only.startswith("quantity(self.a).sign() > 0 (")


def test_rules_are_asked_only_of_what_is_sound_otherwise(tmp_path: Path) -> None:
    known = crds(tmp_path, of(a=TEXT) | ruled("self.a == 'x'"))
    assert [path for path, _ in said(known, {"a": 3})] == ["spec.a"]


def test_without_the_library_rules_say_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = crds(tmp_path, of(a=TEXT) | ruled("self.a == 'no other test asks this'"))
    monkeypatch.setattr(cel, "_environment", cel._environment.__wrapped__)
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)
    with pytest.raises(cel.MissingCelError, match=r"pip install 'nearserve\[crds\]'"):
        report(known, toy({"a": "x"}))


def test_names_as_rules_write_them() -> None:
    assert [escaped(name) for name in ("plain", "a.b", "a-b", "a/b", "a__b", "if")] == [
        "plain",
        "a__dot__b",
        "a__dash__b",
        "a__slash__b",
        "a__underscores__b",
        "__if__",
    ]
    assert values({"n": 3}, of(n={"type": "number"})) == {"n": 3.0}
    assert judged({"rule": "type(self.n) == double"}, {"n": 3.0}).broken is None


def test_crds_are_read_from_yaml_and_lists_and_what_is_none_is_left(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "two.yaml").write_text("kind: ConfigMap\n---\n" + json.dumps(crd(of(a=TEXT))))
    (tmp_path / "list.json").write_text(json.dumps({"kind": "List", "items": [crd(of(a=TEXT))]}))
    (tmp_path / "notes.txt").write_text("not read")
    assert set(read_crds(tmp_path).schemas) == {("toys.example/v1", "Toy")}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.yaml", "a: [", "is no YAML"),
        ("a.json", "{", "a.json: "),
        ("a.json", '{"kind": "CustomResourceDefinition"}', "KeyError"),
        ("a.json", "{}", "holds no CustomResourceDefinition"),
    ],
)
def test_folders_without_crds_are_refused(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(CrdError, match=says):
        read_crds(tmp_path)


def test_helm_values_and_tables_are_no_objects(tmp_path: Path) -> None:
    known = crds(tmp_path, of())
    found = check({"a.csv": b"a,b\n", "v.json": b'{"decode": {}}', "l.json": b"[1]"}, known)
    assert (found.checked, found.own, found.faults) == ({}, {}, ())


def test_a_folder_of_feeds_is_checked_below_all_its_folders(tmp_path: Path) -> None:
    feeds, known = tmp_path / "feeds", tmp_path / "crds"
    (feeds / "toys" / "all").mkdir(parents=True)
    known.mkdir()
    (known / "toys.json").write_text(json.dumps(crd(of(size=WHOLE))))
    (feeds / "toys" / "all" / "a.json").write_text(json.dumps({"kind": "List", "items": [toy({"size": 1})]}))
    assert check_folder(feeds, known).checked == {"toys.example/v1 Toy": 1}
    (feeds / "toys" / "all" / "b.json").write_text(json.dumps(toy({"size": "big"})))
    with pytest.raises(CrdFaultsError, match=r"toys/all/b\.json: Toy bear: spec\.size: 'big' is not of type"):
        check_folder(feeds, known)
