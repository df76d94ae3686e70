// Package etl is a nightly pipeline on real data: four years of daily weather in Seattle and New York (DATA.md) come from CSV
// files, an HTTP API and a database file, are merged, cleaned, enriched, loaded into a warehouse of partitioned files, and
// become a report with a picture.
//
// Definition is the workflow, Pipeline its handlers: plain functions that take and give paths, never the data. What a handler
// writes goes to a temporary file and is renamed, so that a file is whole or not there. Everything lies in one folder:
//
//	sources/                 what Unpack puts there: files/, api/, archive.bolt
//	runs/RUN/STEP.csv        what a step made
//	warehouse/current.json   the parts that count, replaced last
//	warehouse/city=C/year=Y/part-KEY.csv
//	report.html              for a person to look at
//	ledger.jsonl             a line whenever the body of a handler begins, and one when it has ended
//
// The ledger is written by the bodies themselves, behind the engine's back: it shows what truly ran.
//
// Command check (in check/) computes the report's figures from the sources again, with no code of this package.
package etl
