# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs queries with DuckDB: a list of texts as JSON on standard input. Writes a list of answers, each
with the names of its columns and its rows."""

import json
import sys

import duckdb

answers = []
for query in json.load(sys.stdin):
    found = duckdb.sql(query)
    answers.append({"columns": found.columns, "rows": found.fetchall()})
json.dump(answers, sys.stdout)
