"""Real forms of files, each with a contract that reads it and a small file of that form. They are examples in the docs.

The files are written here, in the form that the supplier uses; the records are invented.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """A form of files. ``files``: name in the bucket, below the source -> content. ``note``: what the contract does."""

    name: str
    title: str
    contract: str
    files: dict[str, bytes]
    note: str


IMDB = Form(
    "imdb",
    "IMDb's TSV files",
    r"""
source: imdb
description: IMDb's files for non-commercial use.
datasets:
  title_basics:
    description: One row per title.
    file: title.basics
    mode: overwrite
    key: [title_id]
    freshness: {warn_after_days: 2, fail_after_days: 7}
    dialect: {delimiter: "\t", quote_char: null, missing_values: ['\N']}
    columns:
      - {name: title_id, source_name: tconst, type: text, pattern: "tt[0-9]+", description: IMDb's number.}
      - {name: title_type, source_name: titleType, type: text, description: "movie, short and others."}
      - {name: primary_title, source_name: primaryTitle, type: text, description: The usual title.}
      - name: is_adult
        source_name: isAdult
        type: boolean
        true_values: ["1"]
        false_values: ["0"]
        description: Adult title.
      - {name: start_year, source_name: startYear, type: integer, nullable: true, description: Year of release.}
      - {name: runtime_min, source_name: runtimeMinutes, type: integer, nullable: true, description: Length in minutes.}
      - {name: genres, type: text, nullable: true, description: Up to three genres.}
""",
    {
        "title.basics.tsv": (
            b"tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\tendYear\truntimeMinutes\tgenres\n"
            b"tt0000001\tshort\tCarmencita\tCarmencita\t0\t1894\t\\N\t1\tDocumentary,Short\n"
            b'tt0000002\tmovie\t"Giliap"\t"Giliap"\t0\t1975\t\\N\t137\tCrime,Drama\n'
            b'tt0000003\tmovie\tThe 5" Heel\tThe 5" Heel\t1\t\\N\t\\N\t\\N\t\\N\n'
        )
    },
    "Quotes are part of the titles, and `\\N` means no value.",
)

MOVIELENS_100K = Form(
    "ml100k",
    "MovieLens 100k",
    r"""
source: ml100k
description: MovieLens 100k.
datasets:
  ratings:
    description: One row per rating.
    file: u
    extensions: [data]
    mode: upsert
    key: [user_id, movie_id]
    freshness: {warn_after_days: 3650, fail_after_days: 36500}
    dialect: {delimiter: "\t", quote_char: null, header: false}
    columns:
      - {name: user_id, type: integer, min: 1, description: The user.}
      - {name: movie_id, type: integer, min: 1, description: The film.}
      - {name: rating, type: integer, min: 1, max: 5, description: Stars.}
      - {name: rated_at, type: timestamp, format: epoch_s, description: "Time of the rating, in UTC."}
  movies:
    description: One row per film.
    file: u
    extensions: [item]
    mode: overwrite
    key: [movie_id]
    freshness: {warn_after_days: 3650, fail_after_days: 36500}
    encoding: latin-1
    dialect: {delimiter: "|", quote_char: null, header: false, field_count: 24, date_format: "%d-%b-%Y"}
    columns:
      - {name: movie_id, type: integer, description: The film.}
      - {name: title, type: text, description: Title with the year.}
      - {name: released_on, type: date, nullable: true, description: Date of release.}
      - {name: is_drama, position: 14, type: boolean, true_values: ["1"], false_values: ["0"], description: Drama.}
""",
    {
        "u.data": b"196\t242\t3\t881250949\n186\t302\t3\t891717742\n",
        "u.item": (
            "1|Toy Story (1995)|01-Jan-1995||http://us.imdb.com/M/title-exact?Toy%20Story%20(1995)"
            "|0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
            "543|Misérables, Les (1995)|01-Jan-1995||http://us.imdb.com/M/title-exact?Mis%E9rables"
            "|0|0|0|0|0|0|0|0|1|0|0|0|1|0|0|0|0|0|0\n"
            "267|unknown||||1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
        ).encode("latin-1"),
    },
    "No header: columns are found by their order, or by `position`. Two datasets share a file name and differ in the "
    "extension.",
)

MOVIELENS_1M = Form(
    "ml1m",
    "MovieLens 1M",
    r"""
source: ml1m
description: MovieLens 1M.
datasets:
  movies:
    description: One row per film.
    extensions: [dat]
    mode: overwrite
    key: [movie_id]
    freshness: {warn_after_days: 3650, fail_after_days: 36500}
    encoding: latin-1
    dialect: {delimiter: "::", quote_char: null, header: false}
    columns:
      - {name: movie_id, type: integer, min: 1, description: The film.}
      - {name: title, type: text, description: Title with the year.}
      - {name: genres, type: text, description: "Genres separated by '|'."}
""",
    {
        "movies.dat": (
            "1::Toy Story (1995)::Animation|Children's|Comedy\n"
            "73::Misérables, Les (1995)::Drama|Musical\n"
            '2::Jumanji: The "Game" (1995)::Adventure\n'
        ).encode("latin-1")
    },
    "A separator of two characters.",
)

BANK = Form(
    "bank",
    "A European bank's CSV",
    r"""
source: bank
description: Account statements.
datasets:
  postings:
    description: One row per posting.
    mode: append
    key: []
    freshness: {warn_after_days: 7, fail_after_days: 31}
    encoding: windows-1252
    dialect:
      delimiter: ";"
      header_rows: [4]
      footer_rows: 1
      decimal_char: ","
      group_char: "."
      date_format: "%d.%m.%Y"
    columns:
      - {name: posted_on, source_name: Buchungstag, type: date, description: Day of the posting.}
      - {name: payee, source_name: Empfänger, type: text, nullable: true, description: Who was paid or paid.}
      - {name: purpose, source_name: Verwendungszweck, type: text, nullable: true, description: Purpose.}
      - {name: amount, source_name: Betrag, type: "decimal(12,2)", description: Amount in euros.}
""",
    {
        "postings-2026-11.csv": (
            '"Kontoauszug";"DE00 1234"\r\n'
            '"Zeitraum";"01.11.2026 - 30.11.2026"\r\n'
            "\r\n"
            "Buchungstag;Empfänger;Verwendungszweck;Betrag\r\n"
            '02.11.2026;Müller & Söhne;"Rechnung 7; ""Dach""";-1.234,50\r\n'
            "30.11.2026;;Gehalt;12.345.678,9\r\n"
            "1.12.2026;Café;;0,00\r\n"
            '"Summe";;;12.344.444,40\r\n'
        ).encode("windows-1252")
    },
    "Three lines above the header and one below the records are skipped.",
)

PANDAS = Form(
    "pandas",
    "A pandas export with its index",
    r"""
source: pandas
description: Exports of a notebook.
datasets:
  films:
    description: One row per film.
    mode: overwrite
    key: [film_id]
    freshness: {warn_after_days: 30, fail_after_days: 90}
    dialect: {missing_values: [NaN, NaT, None]}
    columns:
      - {name: film_id, type: integer, description: The film.}
      - {name: votes, type: integer, decimal_zeros: true, nullable: true, description: "Votes, as floats."}
      - {name: score, type: double, nullable: true, description: Mean vote.}
      - {name: is_new, type: boolean, description: Added this month.}
      - {name: added_at, type: timestamp, nullable: true, description: When it was added.}
""",
    {
        "films.csv": (
            b",film_id,votes,score,is_new,added_at\n"
            b"0,7,862.0,7.5,True,2026-11-01 10:00:00\n"
            b"1,8,,NaN,False,NaT\n"
            b"2,9,1e3,1e-05,False,2026-11-02 23:59:59.123456\n"
        )
    },
    "The index has no name and is ignored, with a warning. `1e3` is not an integer, so that record is rejected.",
)

EXCEL = Form(
    "excel",
    "An Excel export with `sep=;`",
    r"""
source: excel
description: A spreadsheet of the finance team.
datasets:
  budget:
    description: One row per cost centre.
    mode: overwrite
    key: [cost_centre]
    freshness: {warn_after_days: 90, fail_after_days: 180}
    dialect:
      delimiter: ";"
      header_rows: [2]
      decimal_char: ","
      true_values: [WAHR]
      false_values: [FALSCH]
      timestamp_format: "%d.%m.%Y %H:%M"
      time_zone: Europe/Berlin
    columns:
      - {name: cost_centre, source_name: Kostenstelle, aliases: [KSt], type: text, description: The cost centre.}
      - {name: budget_eur, source_name: Budget, type: "decimal(12,2)", description: Budget in euros.}
      - {name: is_approved, source_name: Genehmigt, type: boolean, description: Approved.}
      - {name: changed_at, source_name: Geändert, type: timestamp, description: "Last change, stored in UTC."}
      - {name: currency, type: text, default: EUR, description: "Currency; older files do not have it."}
""",
    {
        "budget.csv": (
            "\ufeffsep=;\r\n"
            "KSt;Budget;Genehmigt;Geändert\r\n"
            "0100;1500,5;WAHR;29.11.2026 07:30\r\n"
            "0200;0;FALSCH;01.07.2026 00:15\r\n"
        ).encode()
    },
    "`0100` keeps its zero because the column is text. Local times become UTC.",
)

FORMS = (IMDB, MOVIELENS_100K, MOVIELENS_1M, BANK, PANDAS, EXCEL)
