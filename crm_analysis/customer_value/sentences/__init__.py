"""From the chapter's results to what its page claims: one module per kind of claim."""

from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.sentences import actions, findings, measures, outlook, saying, unknowns, verdict
from crm_analysis.findings import Claims
from crm_analysis.language import _

__all__ = ["claims"]


def claims(state: CustomerValue) -> Claims:
    """Verdict, findings, actions and unknowns for a branch and period."""
    if not len(state.status):
        return Claims(verdict=saying.say(state, _("There are no {customers} to value in this branch and period.")))
    if len(state.status) < state.scope.profile.privacy.min_cell:
        said = _(
            "There are fewer than {n} {customers} in this branch: their figures are in those of all branches only."
        )
        return Claims(verdict=saying.say(state, said, n=state.scope.profile.privacy.min_cell))
    found = (
        findings.retention(state),
        findings.below_cost(state),
        outlook.next_year(state),
        findings.slipping(state),
        findings.concentration(state),
    )
    return Claims(
        verdict=verdict.verdict(state),
        findings=tuple(finding for finding in found if finding is not None),
        actions=tuple(action for action in actions.actions(state) if action is not None),
        unknowns=tuple(unknowns.unknowns(state)),
        measures=tuple(measures.measures(state)),
    )
