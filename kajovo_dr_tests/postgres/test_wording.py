"""Under test: definitions that a restore spells otherwise are one; every other difference shows."""

from __future__ import annotations

import pytest

from kajovo_dr.postgres.wording import PART, essence, hashes, ordered

#: As one server spelled them before a dump and after its restore.
ALIKE = [
    (
        "((s)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
        "(s::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text]))",
    ),
    ("(a + (1)::numeric)", "((a)::numeric + 1)"),
    ("'2'::timestamp(3) without time zone", "'2'::timestamp with time zone"),
    ("'3'::interval day to second(2) = i", "'3' = i"),
    ('(1)::numeric(10,2)[] || x::"Jiné"."Typ ""y"""[]', "1 || x"),
    ("x::public.geometry(Point,4326), y", "x, y"),
    (' SELECT a,\n    b\n   FROM t;', "SELECT a, b FROM t;"),
]  # fmt: skip
#: As servers of two major versions spell them.
OF_TWO_MAJORS = [
    ("SELECT t.a, t.b FROM public.t WHERE t.a > 1", "SELECT a, b FROM public.t WHERE a > 1"),
    ('SELECT t.json_value, t."Od" FROM t', 'SELECT "json_value", "Od" FROM t'),
    ("XMLSERIALIZE(CONTENT t.x AS text)", "XMLSERIALIZE(CONTENT x AS text NO INDENT)"),
]
#: What is something else in all versions.
OTHER = [
    ("a > 1", "a > 2"),
    ("a > 1", "a < 1"),
    ("a > 1", "b > 1"),
    ("a > 1.5", "a > 1.50"),
    ("a = 'x'", "a = 'X'"),
    ("a = 'x y'", "a = 'xy'"),
    ("a = '(x)'", "a = 'x'"),
    ("a = 'x::text'", "a = 'x'"),
    ("a = 'it''s::text'", "a = 'it''s'"),
    ("a = E'\\\\'::text", "a = E'\\''::text"),
    ("a = E'\\'::text'", "a = E'\\''"),
    ('"A" = 1', '"a" = 1'),
    ("B'101'", "'101'"),
    ("a = b", "a = 'b'"),
    ("a AND b", "a OR b"),
    ("f($1)", "f($2)"),
    (f"a 1{PART}b 2", f"a 2{PART}b 1"),
    (f"a{PART}", f"{PART}a"),
]
#: What is only seen between servers of one major version.
SEEN_BY_ORDER = [
    ("a - b", "b - a"),
    ("btree (a, b)", "btree (b, a)"),
    ("x.f(1)", "y.f(1)"),
    ("ARRAY['a', 'a']", "ARRAY['a']"),
    ("a[1]", "a, 1"),
]


@pytest.mark.parametrize(("before", "after"), ALIKE)
def test_casts_parentheses_and_white_space_do_not_count(before: str, after: str) -> None:
    assert hashes(before) == hashes(after)


@pytest.mark.parametrize(("old", "new"), OF_TWO_MAJORS)
def test_what_newer_versions_spell_otherwise_has_the_same_essence(old: str, new: str) -> None:
    assert essence(hashes(old)) == essence(hashes(new))
    assert ordered(hashes(old)) != ordered(hashes(new))


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_another_definition_differs_in_both_hashes(one: str, other: str) -> None:
    assert essence(hashes(one)) != essence(hashes(other))
    assert ordered(hashes(one)) != ordered(hashes(other))


@pytest.mark.parametrize(("one", "other"), SEEN_BY_ORDER)
def test_the_order_of_words_counts_between_servers_of_one_major(one: str, other: str) -> None:
    assert essence(hashes(one)) == essence(hashes(other))
    assert ordered(hashes(one)) != ordered(hashes(other))


@pytest.mark.parametrize(
    "text", ["", "'", '"', "::", "x::", "x::a.", "x::t(", "(", "E'\\", "1e", "š"]
)
def test_what_no_server_writes_is_hashed_all_the_same(text: str) -> None:
    assert len(hashes(text)) == 33
