"""The order of the steps of a definition."""

from __future__ import annotations

from ._keys import _quote
from ._reading import Reading, _Step


class Graph(Reading):
    """What must hold of the order of steps: no cycle, and no step that can never start."""

    def order(self) -> None:
        """Find steps that could never start, and waits whose on_timeout leads back to them."""
        n = len(self.steps)
        deps: list[list[int]] = [[] for _ in range(n)]
        jump: dict[int, int] = {}
        for i, s in enumerate(self.steps):
            deps[i] = [self.index[d] for d in s.dependencies + s.after if self.index.get(d, i) < i and self.together(i, self.index[d])]
            target = self.branch(s)
            if target and self.index.get(target, i) != i and self.together(i, self.index[target]):
                jump[i] = self.index[target]
        for w, e in jump.items():
            dead = ("on_timeout_dead", "on_failure_dead")
            if e > w and self.over_another(deps, e, w) and not any(at == e and p.code in dead for at, p in self.problems):
                key = self.branch_key(self.steps[w])
                self.add(
                    e,
                    f"{key}_dead",
                    f"{key} of {_quote(self.steps[w].name)} names this step, which depends on a step that depends on that one: it could never start",
                )
        if self.later or any(e < w for w, e in jump.items()):
            self.cycles(deps, jump)

    @staticmethod
    def branch_key(s: _Step) -> str:
        return "on_timeout" if s.fields.get("signal") is not None else "on_failure"

    def branch(self, s: _Step) -> str:
        """The step that on_timeout or on_failure names; "": none."""
        if self.branch_key(s) == "on_timeout":
            return str(s.fields["signal"].get("on_timeout", ""))
        return str(s.fields.get("on_failure", ""))

    @staticmethod
    def over_another(deps: list[list[int]], e: int, w: int) -> bool:
        """Whether e depends on some step that depends on w."""
        ahead, seen = [d for d in deps[e] if d != w], set()
        while ahead:
            at = ahead.pop()
            if at in seen or at < w:
                continue
            seen.add(at)
            if w in deps[at]:
                return True
            ahead.extend(deps[at])
        return False

    def cycles(self, deps: list[list[int]], jump: dict[int, int]) -> None:
        after: list[list[int]] = [[] for _ in deps]
        for i, before in enumerate(deps):
            for d in before:
                after[d].append(i)
        for w, e in jump.items():
            after[w].append(e)
        for i, d in self.later:
            after[d].append(i)
        told: set[int] = set()
        for i, d in self.later:
            if d not in self.reach(after, i):
                dep = _quote(self.steps[d].name)
                self.add(i, "dependency_later", f"dependency {dep} is defined later; a step must stand after what it depends on")
            elif i not in told:
                told |= self.knot(after, i)
                self.add(i, "cycle", f"steps wait for each other: {self.around(after, i, d)}; each starts after the next")
        for w in sorted(jump):
            e = jump[w]
            if w in told or w not in self.reach(after, e):
                continue
            told |= self.knot(after, w)
            way = self.around(after, e, w)
            key = self.branch_key(self.steps[w])
            self.add(w, "cycle", f"{key} {_quote(self.steps[e].name)} leads back to this step: {way}; each starts after the next")

    def knot(self, after: list[list[int]], at: int) -> set[int]:
        """All steps that follow from this one and lead to it."""
        before: list[list[int]] = [[] for _ in after]
        for i, following in enumerate(after):
            for d in following:
                before[d].append(i)
        return self.reach(after, at) & self.reach(before, at)

    def around(self, after: list[list[int]], start: int, end: int) -> str:
        """Name a shortest cycle on which start comes directly after end."""
        came = {start: start}
        queue = [start]
        for at in queue:
            for n in after[at]:
                if n not in came:
                    came[n] = at
                    queue.append(n)
        names = [self.steps[start].name, self.steps[end].name]
        while end != start:
            end = came[end]
            names.append(self.steps[end].name)
        shown = 6
        if len(names) > 2 * shown:
            names[shown:-shown] = [f"({len(names) - 2 * shown} more)"]
        return " -> ".join(names)

    @staticmethod
    def reach(after: list[list[int]], start: int) -> set[int]:
        ahead, seen = [start], set()
        while ahead:
            at = ahead.pop()
            if at not in seen:
                seen.add(at)
                ahead.extend(after[at])
        return seen
