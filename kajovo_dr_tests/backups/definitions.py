"""A schema with every kind of definition, and how each can be changed in a plain dump of it.

Not here: tests (``test_compare``).
"""

from __future__ import annotations

SCHEMA = r"""
    CREATE TYPE nálada AS ENUM ('dobrá', 'špatná'); CREATE TYPE dvojice AS (a int, b varchar(5));
    CREATE TYPE rozsah AS RANGE (subtype = float8, subtype_diff = float8mi);
    CREATE DOMAIN krátký AS varchar(9) COLLATE "C" DEFAULT 'a'
        CONSTRAINT délka CHECK (VALUE IN ('a', 'b') OR length(VALUE) > 3);
    CREATE TABLE objednávky (id serial PRIMARY KEY, smazaný int,
        stav varchar(10) DEFAULT 'nová' CONSTRAINT stavy CHECK (stav IN ('nová', 'hotová')),
        cena numeric(10, 2) DEFAULT 0.50 CONSTRAINT ceny CHECK (cena BETWEEN -1 AND 999.5),
        kdy timestamptz DEFAULT now() + '1 day'::interval, popis text DEFAULT E'a\\b''c',
        daň numeric GENERATED ALWAYS AS (round(cena * 0.21, 2)) STORED, kdo krátký);
    ALTER TABLE objednávky DROP smazaný, ADD platí bool NOT NULL DEFAULT true;
    CREATE TABLE položky (objednávka int CONSTRAINT čí REFERENCES objednávky ON DELETE CASCADE,
        od int, pásmo int4range, nálada nálada DEFAULT 'dobrá', pár dvojice, r rozsah,
        CONSTRAINT bez_překryvu EXCLUDE USING gist (pásmo WITH &&) WHERE (od > 5));
    CREATE INDEX nové ON objednávky (kdy DESC) WHERE stav IN ('nová', 'čeká');
    CREATE INDEX výrazy ON objednávky (lower(stav), (cena + 1));
    CREATE INDEX dva ON položky (objednávka, od);
    CREATE STATISTICS souvislost ON stav, popis FROM objednávky;
    CREATE STATISTICS výraz ON (cena * 2), stav FROM objednávky;
    ALTER TABLE objednávky ENABLE ROW LEVEL SECURITY;
    CREATE POLICY jen_nové ON objednávky USING (stav IN ('nová', 'hotová'))
        WITH CHECK (cena > 1);
    CREATE FUNCTION razítko() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER razítko BEFORE UPDATE OF stav, cena ON objednávky FOR EACH ROW
        WHEN (NEW.stav IN ('nová', 'hotová') AND OLD.cena > 7) EXECUTE FUNCTION razítko('x');
    CREATE RULE záporné AS ON INSERT TO položky WHERE NEW.od < 0 DO INSTEAD NOTHING;

    CREATE VIEW prostý AS SELECT id, stav FROM objednávky WHERE stav IN ('nová', 'hotová');
    CREATE VIEW spojený AS SELECT o.id, p.od AS "Od", o.stav::varchar(3) AS krátce
        FROM objednávky o LEFT JOIN položky p ON p.objednávka = o.id
        WHERE o.popis LIKE 'x%' AND o.id NOT IN (3, 4) ORDER BY 1 DESC;
    CREATE VIEW spojený_using AS SELECT id, stav, a.cena
        FROM objednávky a JOIN objednávky b USING (id, stav);
    CREATE VIEW s_cte AS WITH RECURSIVE čísla(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM čísla
        WHERE n < 5) SELECT n, EXTRACT(year FROM now()) AS rok FROM čísla;
    CREATE VIEW okno AS SELECT id, row_number() OVER (PARTITION BY stav ORDER BY cena DESC) AS r,
        sum(cena) FILTER (WHERE cena > 2) OVER w, lag(popis, 1, 'nic') OVER w FROM objednávky
        WINDOW w AS (ORDER BY id ROWS BETWEEN 3 PRECEDING AND CURRENT ROW);
    CREATE VIEW vnořený AS SELECT id, (SELECT max(p.od) FROM položky p WHERE p.objednávka = o.id)
        AS nejvíc, EXISTS (SELECT FROM položky WHERE od = 8) AS jsou FROM objednávky o
        WHERE cena = ANY (ARRAY[1, 2.5]) AND id IN (SELECT objednávka FROM položky);
    CREATE VIEW výrazový AS SELECT EXTRACT(epoch FROM kdy) AS e, kdy AT TIME ZONE 'Europe/Prague'
        AS tz, substring(popis FROM 1 FOR 2) AS s, position('a' IN popis) AS p, trim(popis) AS t,
        coalesce(popis, 'x') || stav AS c, nullif(id, 3) AS n, '1 day'::interval AS i, B'101' AS b,
        CASE stav WHEN 'nová' THEN 1.5e-3 ELSE 2 END AS k, popis COLLATE "C" AS col,
        ROW(id, 'x')::dvojice AS řádek, o AS celý, '{"a": 1}'::jsonb -> 'a' AS j,
        id::text::varchar AS v,
        current_user AS já, overlay(popis PLACING 'y' FROM 2) AS ov, greatest(id, 5) AS g,
        popis SIMILAR TO 'a%' AS sim, (stav IS DISTINCT FROM 'x') AS dist, id BETWEEN 2 AND 9 AS m,
        (ARRAY[1, 2, 3])[1:2] AS část, interval '2' month AS im, timestamp(3) '2020-01-01' AS ts
        FROM objednávky o;
    CREATE VIEW součty AS SELECT stav, count(*) AS kolik, string_agg(popis, ',' ORDER BY id) AS vše
        FROM objednávky GROUP BY GROUPING SETS ((stav), ()) HAVING count(*) > 6
        UNION ALL SELECT 'vše', 0, NULL;
    CREATE VIEW hodnoty AS SELECT v.a, v.b FROM (VALUES (1, 'jedna'), (2, NULL)) v(a, b)
        CROSS JOIN LATERAL generate_series(1, v.a) g;
    CREATE MATERIALIZED VIEW uložený AS SELECT id FROM objednávky WHERE cena > 300;

    CREATE FUNCTION dvakrát(a int, b varchar DEFAULT 'x', c numeric DEFAULT 4.5) RETURNS int
        LANGUAGE sql SET work_mem = '1MB' AS 'SELECT a * 2';
    CREATE FUNCTION atomická(a int, b varchar DEFAULT 'ř') RETURNS TABLE (q int)
        BEGIN ATOMIC SELECT CASE WHEN a > 11 THEN a ELSE 2 END FROM objednávky
        WHERE stav IN ('nová', b); END;
    CREATE PROCEDURE práce(INOUT x int) LANGUAGE plpgsql AS $$ BEGIN x := 12; END $$;
    CREATE AGGREGATE celkem (int) (sfunc = int4pl, stype = int, initcond = '13');
    CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq, commutator = ===);
    CREATE VIEW s_operátorem AS SELECT id FROM objednávky WHERE id OPERATOR(public.===) 14;
    CREATE CAST (nálada AS int) WITH FUNCTION z_nálady(nálada) AS ASSIGNMENT;
    CREATE COLLATION české (provider = libc, locale = 'C');
    CREATE TEXT SEARCH DICTIONARY slovník (TEMPLATE = simple, accept = false);
    CREATE TEXT SEARCH CONFIGURATION hledání (COPY = simple);
    CREATE FOREIGN DATA WRAPPER daleko OPTIONS (z '1', a '2');
    CREATE SERVER tam FOREIGN DATA WRAPPER daleko OPTIONS (host 'stroj', dbname 'data');
    CREATE FOREIGN TABLE venku (id int OPTIONS (z 'z', column_name 'číslo')) SERVER tam
        OPTIONS (table_name 'x', schema_name 'a');
    CREATE USER MAPPING FOR PUBLIC SERVER tam OPTIONS ("user" 'a', password 'tajné');
    GRANT USAGE ON FOREIGN SERVER tam TO PUBLIC;
    CREATE SCHEMA jiné; CREATE TABLE jiné.t (id int);
    CREATE PUBLICATION schémat FOR TABLES IN SCHEMA jiné;
    CREATE PUBLICATION výběr FOR TABLE objednávky (id, stav) WHERE (id > 15);
    CREATE FUNCTION událost() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
    CREATE EVENT TRIGGER hlídač ON ddl_command_end WHEN TAG IN ('DROP TABLE', 'CREATE TABLE')
        EXECUTE FUNCTION událost();
    CREATE TABLE díly (kdy date, kraj text, n int DEFAULT 16) PARTITION BY RANGE (kdy, lower(kraj));
    CREATE TABLE díl PARTITION OF díly FOR VALUES FROM ('2020-01-01', 'a') TO ('2030-01-01', 'b');
    -- names that are keywords since 17
    CREATE TABLE json_table (json_value int PRIMARY KEY, json_query int REFERENCES json_table);
    CREATE INDEX json_exists ON json_table (json_query);
    COMMENT ON COLUMN objednávky.stav IS 'nová nebo hotová';
    SELECT lo_from_bytea(4711, 'abc');
""".replace(
    "CREATE CAST",
    "CREATE FUNCTION z_nálady(nálada) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE CAST",
)

#: (what must be named, where its definition begins in the dump, what stands there, what instead).
CHANGES = (
    ('constraint public."objednávky".stavy', "CONSTRAINT stavy ", "'hotová'", "'hotovo'"),
    ('constraint public."objednávky".ceny', "CONSTRAINT ceny ", "999.5", "899.5"),
    ('table public."objednávky"', 'CREATE TABLE public."objednávky"', "0.50", "0.70"),
    ('constraint public."krátký"."délka"', 'CREATE DOMAIN public."krátký"', "> 3", "> 4"),
    ('domain public."krátký"', 'CREATE DOMAIN public."krátký"', ' COLLATE pg_catalog."C"', ""),
    ('index public."nové"', 'CREATE INDEX "nové"', "'čeká'", "'čekal'"),
    ('index public."výrazy"', 'CREATE INDEX "výrazy"', "+ (1)", "+ (2)"),
    ("index public.dva", "CREATE INDEX dva", '("objednávka", od)', '(od, "objednávka")'),
    ('statistics object public."výraz"', 'CREATE STATISTICS public."výraz"', "* 2", "* 3"),
    ("statistics object public.souvislost", "CREATE STATISTICS public.souvi", "popis", "kdo"),
    ('policy public."objednávky"."jen_nové"', 'CREATE POLICY "jen_nové"', "'hotová'", "'jiná'"),
    ('trigger public."objednávky"."razítko"', 'CREATE TRIGGER "razítko"', "'hotová'", "'jiná'"),
    ('rule public."položky"."záporné"', 'CREATE RULE "záporné"', "< 0", "< 1"),
    ('view public."prostý"', 'CREATE VIEW public."prostý"', "'hotová'", "'jiná'"),
    ('view public."spojený"', 'CREATE VIEW public."spojený" ', "'x%'", "'y%'"),
    ('view public."spojený_using"', 'CREATE VIEW public."spojený_using"', "JOIN", "LEFT JOIN"),
    ("view public.s_cte", "CREATE VIEW public.s_cte", "< 5", "< 6"),
    ("view public.okno", "CREATE VIEW public.okno", "'nic'", "'něco'"),
    ('view public."vnořený"', 'CREATE VIEW public."vnořený"', "= 8", "= 9"),
    ('view public."výrazový"', 'CREATE VIEW public."výrazový"', "/Prague", "/Vienna"),
    ('view public."součty"', 'CREATE VIEW public."součty"', "> 6", "> 7"),
    ("view public.hodnoty", "CREATE VIEW public.hodnoty", "'jedna'", "'jednou'"),
    ('view public."s_operátorem"', 'CREATE VIEW public."s_operátorem"', " 14", " 15"),
    ('materialized view public."uložený"', "CREATE MATERIALIZED VIEW", "300", "301"),
    (
        'function public."dvakrát"(a integer, b character varying, c numeric)',
        'CREATE FUNCTION public."dvakrát"',
        "a * 2",
        "a * 3",
    ),
    (
        'function public."atomická"(a integer, b character varying)',
        'CREATE FUNCTION public."atomická"',
        "> 11",
        "> 10",
    ),
    ('procedure public."práce"(INOUT x integer)', "CREATE PROCEDURE", "x := 12", "x := 13"),
    ("aggregate public.celkem(integer)", "CREATE AGGREGATE", "'13'", "'14'"),
    ('type public."nálada"', 'CREATE TYPE public."nálada"', "'špatná'", "'horší'"),
    ("type public.dvojice", "CREATE TYPE public.dvojice", "varying(5)", "varying(6)"),
    ("type public.rozsah", "CREATE TYPE public.rozsah", ",\n    subtype_diff = float8mi", ""),
    ("operator public.===(integer,integer)", "CREATE OPERATOR", "int4eq", "int4ne"),
    ('cast (public."nálada" AS integer)', "CREATE CAST", "AS ASSIGNMENT", "AS IMPLICIT"),
    ('collation public."české"', "CREATE COLLATION", "'C'", "'POSIX'"),
    ('text search dictionary public."slovník"', "CREATE TEXT SEARCH DICT", "'false'", "'true'"),
    (
        'text search configuration public."hledání"',
        'ALTER TEXT SEARCH CONFIGURATION public."hledání"',
        "WITH simple",
        "WITH english_stem",
    ),
    ("foreign-data wrapper daleko", "CREATE FOREIGN DATA WRAPPER", "'2'", "'3'"),
    ("server tam", "CREATE SERVER", "'stroj'", "'jiný'"),
    ("foreign table public.venku", "CREATE FOREIGN TABLE", "'číslo'", "'jméno'"),
    ('publication "schémat"', 'ALTER PUBLICATION "schémat"', '"jiné"', "public"),
    ('publication "výběr"', 'ALTER PUBLICATION "výběr"', "15", "16"),
    ('event trigger "hlídač"', "CREATE EVENT TRIGGER", "'DROP TABLE'", "'DROP VIEW'"),
    ('table public."díly"', 'CREATE TABLE public."díly"', "lower(kraj)", "upper(kraj)"),
    ('table public."díl"', "ATTACH PARTITION", "'2030-01-01'", "'2031-01-01'"),
    ('comment on table column public."objednávky".stav', "COMMENT ON COLUMN", "nebo", "či"),
    ('constraint public."položky"."čí"', 'ADD CONSTRAINT "čí"', "CASCADE", "SET NULL"),
    (
        "large objects owners and privileges",
        "ALTER LARGE OBJECT 4711",
        "OWNER TO kajovo",
        "OWNER TO CURRENT_USER",
    ),
)
#: Further changes of objects of which one is above.
MORE_CHANGES = (
    ('table public."objednávky"', 'CREATE TABLE public."objednávky"', "0.21", "0.15"),
    ('domain public."krátký"', 'CREATE DOMAIN public."krátký"', "DEFAULT 'a'", "DEFAULT 'b'"),
    ('index public."nové"', 'CREATE INDEX "nové"', "kdy DESC", "kdy"),
    ('policy public."objednávky"."jen_nové"', 'CREATE POLICY "jen_nové"', "(1)", "(2)"),
    (
        'trigger public."objednávky"."razítko"',
        'CREATE TRIGGER "razítko"',
        "OF stav, cena",
        "OF stav",
    ),
    (
        'function public."dvakrát"(a integer, b character varying, c numeric)',
        'CREATE FUNCTION public."dvakrát"',
        "4.5",
        "4.6",
    ),
    ('publication "výběr"', 'ALTER PUBLICATION "výběr"', "(id, stav)", "(id)"),
    ("server tam", "GRANT ALL ON FOREIGN SERVER", "PUBLIC", "CURRENT_USER"),
)
