# SPDX-License-Identifier: BSD-2-Clause
"""Samples in, medians out: the rows of --json, and the table for people.

A sample is one subject's figure of one round. Subjects take turns within a round, so the medians
of one report compare; medians of two reports, made at other times, do not.
"""
import statistics

OURS = "floodwall"
# Subjects that nobody competes with: a floor, a ceiling.
BOUNDS = {"trivial", "direct", "oracle"}


def higher_is_better(unit):
    # A rate, or a share of what was wanted; everything else is a time or another cost.
    return unit.endswith("/s") or unit == "share"


class Report:
    def __init__(self, suite):
        self.suite = suite
        self.samples = {}  # (case, metric, unit) → {subject: [value, …]}, in the order of arrival

    def record(self, case, subject, metric, value, unit):
        subjects = self.samples.setdefault((case, metric, unit), {})
        subjects.setdefault(subject, []).append(value)

    def rows(self):
        return [{"suite": self.suite, "case": case, "subject": subject, "metric": metric,
                 "value": round(statistics.median(values), 3), "unit": unit}
                for (case, metric, unit), subjects in self.samples.items()
                for subject, values in subjects.items()]

    def table(self):
        blocks = [self._block(key, subjects) for key, subjects in self.samples.items()]
        return "\n\n".join(blocks)

    def _block(self, key, subjects):
        case, metric, unit = key
        higher = higher_is_better(unit)
        median = {subject: statistics.median(values) for subject, values in subjects.items()}
        rounds = max(len(values) for values in subjects.values())
        lines = [f"{self.suite} {case}: {metric} in {unit}, "
                 f"{'more' if higher else 'less'} is better, {rounds} rounds",
                 f"  {'':<16}{'median':>15}{'min':>15}{'max':>15}   {OURS} is"]
        for subject, values in subjects.items():
            ratio = ""
            if OURS in median and subject != OURS and median[subject] and median[OURS]:
                ratio = median[OURS] / median[subject]
                ratio = f"{ratio if higher else 1 / ratio:.2f} × as good"
                if subject in BOUNDS:
                    ratio = f"({ratio})"
            figures = "".join(f"{x:>15,.2f}" for x in (median[subject], min(values), max(values)))
            lines.append(f"  {subject:<16}{figures}   {ratio}".rstrip())
        return "\n".join(lines)
