"""Where mytls refuses more than the server would, and why. It must never refuse less."""

from dataclasses import dataclass

from cases import Case
from login import Outcome


@dataclass(frozen=True)
class Measured:
    """One login, four times."""

    case: Case
    direct: Outcome
    moved: Outcome
    own: Outcome
    through: Outcome

    @property
    def differs(self):
        """Whether a client sees another outcome through mytls."""
        return self.direct.account != self.through.account


def judge(measured, place):
    """Whether the outcome is right, and what it is."""
    parts = [measured.direct, measured.own] + ([measured.moved] if place == "imported" else [])
    through = measured.through
    if not all(part.heard for part in (*parts, through)):
        return False, f"nobody answered: {told(measured)}"
    if through.accepted:
        if not all(part.accepted for part in parts):
            return False, f"LET IN: {told(measured)}"
        if through.account != measured.own.account:
            return False, f"let in as another account: {told(measured)}"
        return True, "let in" if not measured.differs else "the server chose the account by mytls' address"
    if not measured.direct.accepted:
        return True, f"refused by both ({measured.direct.error} {through.error})"
    if not measured.own.accepted:
        return True, "the server refuses mytls itself: another account for its address, or another certificate asked for"
    if not measured.moved.accepted and place == "imported":
        return True, "the account for mytls' address asks for more"
    return False, f"refused, and nothing says why: {told(measured)}"


def told(measured):
    return (
        f"direct {measured.direct}, from mytls' address {measured.moved}, as mytls {measured.own}, "
        f"through mytls {measured.through}"
    )
