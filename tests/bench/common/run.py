# SPDX-License-Identifier: BSD-2-Clause
"""Runs one suite: tests/bench/SUITE.py, found by its name.

A suite is a module with a one-line docstring (what it measures, of whom) and a function
run(record, quick), which calls record(case, subject, metric, value, unit) for every sample and
raises RuntimeError when a figure would not mean what it says. It may return lines for the reader of
the table. Quick runs prove that a suite works; their figures are worth nothing.

Called by scripts/bench, in namespaces that end with it.
"""
import argparse
import ast
import importlib.util
import json
import pathlib
import sys

from report import Report

SUITES = pathlib.Path(__file__).resolve().parent.parent


def describe(path):
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    suites = {path.stem: path for path in sorted(SUITES.glob("*.py"))}
    parser = argparse.ArgumentParser(
        prog="scripts/bench", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures Floodwall and its peers in one run, in turns.",
        epilog="suites:\n" + "\n".join(f"  {name:<10}{describe(path)}"
                                       for name, path in suites.items()))
    parser.add_argument("suite", metavar="SUITE", choices=suites, nargs="?",
                        help="what to measure; without it the suites are listed")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path,
                        help="write the medians there as rows; - is standard output")
    parser.add_argument("--quick", action="store_true",
                        help="a few seconds to see that it works; the figures are worth nothing")
    options = parser.parse_args()
    if options.suite is None:
        parser.print_help()
        return 0

    to_stdout = str(options.json) == "-"
    report = Report(options.suite)
    try:
        notes = load(suites[options.suite]).run(report.record, options.quick)
    except RuntimeError as error:
        print(f"bench: {options.suite}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(report.table(), *(f"note: {line}" for line in notes or []), sep="\n",
          file=sys.stderr if to_stdout else sys.stdout)
    if options.json:
        text = json.dumps(report.rows(), indent=1) + "\n"
        sys.stdout.write(text) if to_stdout else options.json.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
