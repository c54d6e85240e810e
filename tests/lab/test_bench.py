# SPDX-License-Identifier: BSD-2-Clause
"""The bench works: rows are well formed and every subject is there. What they say is not a test's
business, since nothing is timed in a test."""
import json
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEYS = {"suite", "case", "subject", "metric", "value", "unit"}


def bench(*arguments):
    return subprocess.run([ROOT / "scripts/bench", *arguments], capture_output=True, text=True,
                          timeout=300)


@pytest.mark.alone("a cookie of its packets lives for a minute: by then it has to be through")
def test_packet_suite_writes_a_row_for_every_subject(tmp_path):
    file = tmp_path / "rows.json"

    result = bench("packet", "--quick", "--json", file)

    assert result.returncode == 0, result.stderr
    rows = json.loads(file.read_text())
    assert all(set(row) == KEYS and row["suite"] == "packet" for row in rows)
    assert all(row["metric"] == row["unit"] == "ns" and row["value"] > 0 for row in rows)
    named = [(row["case"], row["subject"]) for row in rows]
    assert len(named) == len(set(named)), "a row is a median, so there is one of each"
    for case in ("established_pass", "established_pass_v6", "blocked_drop_1", "blocked_drop_100k",
                 "blocked_drop_1m"):
        subjects = {subject for name, subject in named if name == case}
        assert {"floodwall", "trivial", "xdp-filter"} <= subjects
        assert f"packet {case}: ns" in result.stdout
    assert {("blocked_drop_100k_random", "floodwall"), ("blocked_drop_100k_random", "lpm-trie")} <= set(named)


@pytest.mark.alone("a flood as fast as both CPUs can send and answer it")
def test_flood_suite_writes_a_row_for_every_subject(tmp_path):
    file = tmp_path / "rows.json"

    result = bench("flood", "--quick", "--json", file)

    assert result.returncode == 0, result.stderr
    assert "NOT MEASURED" not in result.stdout, result.stdout
    rows = {(row["case"], row["subject"], row["metric"]): row["value"] for row in json.loads(file.read_text())}
    for case in ("spoofed_v4", "spoofed_v6"):
        for subject in ("floodwall", "oracle", "kernel-syncookies", "nft-synproxy", "none"):
            for metric in ("legit_p50_ms", "legit_p99_ms", "syn_handled_per_s", "syn_cpu_ns", "received_pps"):
                assert rows[case, subject, metric] > 0
            assert 0 <= rows[case, subject, "legit_success"] <= 1
            assert rows[case, subject, "offered_pps"] >= rows[case, subject, "received_pps"]


def test_attacks_suite_writes_a_row_for_every_subject(tmp_path):
    file = tmp_path / "rows.json"

    result = bench("attacks", "--quick", "--json", file)

    assert result.returncode == 0, result.stderr
    rows = {(row["case"], row["subject"], row["metric"]): row["value"] for row in json.loads(file.read_text())}
    for case in ("slow_header", "slowhttptest_read", "h2_rapid_reset"):
        for subject in ("floodwall", "nginx", "haproxy", "oracle"):
            for phase in ("unloaded", "legit", "settled"):
                assert 0 <= rows[case, subject, f"{phase}_success"] <= 1
                assert rows[case, subject, f"{phase}_p99_ms"] > 0
            assert rows[case, subject, "rss_mb"] > 1
            assert rows[case, subject, "crashed"] == 0


def test_without_a_suite_all_are_listed():
    result = bench()

    assert result.returncode == 0
    assert "packet" in result.stdout and "proxy" in result.stdout


def test_unknown_suite_is_refused_before_anything_is_built():
    result = bench("nonsense")

    assert result.returncode == 2
    assert "nonsense" in result.stderr and "packet" in result.stderr


def test_memory_suite_writes_a_row_for_every_subject(tmp_path):
    file = tmp_path / "rows.json"

    result = bench("memory", "--quick", "--json", file)

    assert result.returncode == 0, result.stderr
    rows = {(row["case"], row["subject"]) for row in json.loads(file.read_text()) if row["metric"] == "bytes"}
    assert rows == {(case, subject) for case in ("idle_plain", "idle_tls", "idle_tls12")
                    for subject in ("floodwall", "nginx", "haproxy")}
