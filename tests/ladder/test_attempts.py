from videoclf.ladder.attempts import RATES, Attempt, Outcome, chosen, next_attempt
from videoclf.ladder.predictions import Claim, Said

NOTHING, PROVEN = Said(Claim.NONE), Said(Claim.THEOREM, 0.5)


def following(*tried, said=NOTHING, quick=False, retries=True, num_classes=2):
    outcomes = [Outcome(Attempt(epochs, rate), val) for epochs, rate, val in tried]
    return next_attempt(outcomes, said, num_classes=num_classes, quick=quick, retries=retries)


def test_rates_are_tried_until_one_succeeds():
    assert following() == Attempt(4, RATES[0])
    assert following((4, 0.003, 0.95)) is None
    assert following((4, 0.003, 0.6)) == Attempt(4, 0.001)
    assert following((4, 0.003, 0.6), (4, 0.001, 0.91)) is None


def test_who_has_begun_to_learn_gets_four_times_the_epochs_at_the_best_rate():
    tried = [(4, 0.003, 0.6), (4, 0.001, 0.7), (4, 0.01, 0.5)]
    assert following(*tried) == Attempt(16, 0.001)
    assert following(*tried, (16, 0.001, 0.8)) is None
    at_chance = [(4, rate, 0.52) for rate in RATES]
    assert following(*at_chance) is None


def test_what_is_proven_is_trained_once_and_short():
    assert following(said=PROVEN) == Attempt(1, RATES[0])
    assert following((1, RATES[0], 0.5), said=PROVEN) is None


def test_quick_and_without_retries():
    assert following(quick=True) == Attempt(2, RATES[0])
    assert following((2, RATES[0], 0.6), quick=True) is None
    assert following((4, RATES[0], 0.6), retries=False) is None


def test_the_best_on_validation_counts_and_of_equals_the_shorter():
    outcomes = [Outcome(Attempt(16, 0.003), 0.8), Outcome(Attempt(4, 0.001), 0.8)]
    assert chosen(outcomes).attempt == Attempt(4, 0.001)
    assert chosen([*outcomes, Outcome(Attempt(4, 0.01), 0.9)]).val == 0.9
