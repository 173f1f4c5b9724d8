import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.models.contract import configured
from videoclf.explaining.recording import RecordedAttention
from videoclf.explaining.rollout import (
    has_rollout,
    roll_out,
    rollout,
    through,
    within_frames,
    within_places,
)

TRANSFORMERS = {
    "timesformer_divided": ("timesformer_small", {"attention": "divided"}),
    "timesformer_joint": ("timesformer_small", {"attention": "joint"}),
    "timesformer_space": ("timesformer_small", {"attention": "space"}),
    "vivit_joint": ("vivit_small", {"factorisation": "joint"}),
    "vivit_encoder": ("vivit_small", {"factorisation": "factorised_encoder"}),
    "vivit_attention": ("vivit_small", {"factorisation": "factorised_attention"}),
    "vivit_heads": ("vivit_small", {"factorisation": "factorised_heads"}),
    "videomae": ("videomae_small", {}),
    "vjepa2": ("vjepa2_small", {}),  # two blocks, the pooler's and its query
}
#: those whose class head reads a class token, which keeps a share of itself
WITH_CLASS = [name for name in TRANSFORMERS if "timesformer" in name or "joint" in name]


def built(name, **changes):
    config, own = TRANSFORMERS[name]
    return configured(config, **{"depth": 2, **own, **changes}).eval()


def clip(num_frames=8, height=32, width=32):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1, 3, num_frames, height, width, generator=generator)


def attention(*shape, seed=0):
    """Random attention whose rows sum to 1."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).mul(2).softmax(-1)


def recorded(model, rgb):
    with torch.no_grad(), RecordedAttention() as found:
        model(rgb)
    return found.weights


def test_recorded_attention_is_that_of_the_call():
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 2, 3, 5, 8, generator=generator)  # (B, heads, N, d) each
    with RecordedAttention() as found:
        identity = torch.eye(5).expand(2, 3, 5, 5)
        mixed = F.scaled_dot_product_attention(query, key, identity)  # the weights themselves
    torch.testing.assert_close(found.weights[0], mixed.mean(1))
    F.scaled_dot_product_attention(query, key, identity)
    assert len(found.weights) == 1  # only inside


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_attention_of_every_model_is_recorded_and_its_rows_sum_to_1(name):
    model = built(name)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    weights = recorded(model, clip())
    assert len(weights) == {"timesformer_divided": 4, "vivit_encoder": 4, "vjepa2": 4}.get(
        name, 4 if name in ("vivit_attention", "vivit_heads") else 2
    )
    for each in weights:
        torch.testing.assert_close(each.sum(-1), torch.ones(each.shape[:2]))
        assert each.std() > 1e-4
    shares = roll_out(model, weights)
    if name not in WITH_CLASS and name != "vivit_encoder":
        torch.testing.assert_close(shares.sum(), torch.tensor(1.0))
    assert 0 < shares.sum() <= 1 + 1e-5
    found = rollout(model, clip())
    assert found.shape == ((8 if "timesformer" in name else 4), 4, 4)
    torch.testing.assert_close(found.flatten(), shares / shares.sum())


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_even_attention_rolls_out_evenly(name):
    model = built(name)
    for key, parameter in model.named_parameters():
        if ".qkv." in key or "pool.q." in key:  # equal scores
            nn.init.zeros_(parameter)
    found = rollout(model, clip(num_frames=8, height=32, width=48))
    steps = 8 if "timesformer" in name else 4
    torch.testing.assert_close(found, torch.full((steps, 4, 6), 1 / (steps * 24)))


@pytest.mark.parametrize("name", ["timesformer_divided", "timesformer_joint", "timesformer_space"])
def test_a_network_that_attends_to_one_place_rolls_out_to_it(name):
    """Keys read a mark that stands in the position of row 1, column 2."""
    model = built(name, depth=1, num_heads=1)
    for parameter in (*model.patch_embed.parameters(), model.pos_embed, model.cls_token):
        nn.init.zeros_(parameter)
    width = model.pos_embed.shape[2]
    block = model.blocks[0]
    for part in [block.attn] + ([block.temporal_attn] if "divided" in name else []):
        nn.init.zeros_(part.qkv.weight)
        nn.init.zeros_(part.qkv.bias)
    with torch.no_grad():
        model.pos_embed[0, 1 + 1 * 4 + 2, 0] = 10
        block.attn.qkv.bias[0] = 50  # every query
        block.attn.qkv.weight[width, 0] = 50  # keys of the mark
    found = rollout(model, clip())
    expected = torch.zeros(8, 4, 4)
    expected[:, 1, 2] = 1 / 8
    torch.testing.assert_close(found, expected)


def test_two_blocks_by_hand():
    """The class token takes all from token 1, which takes all from token 2."""
    first = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, 0, 1]])
    second = torch.tensor([[0.0, 1, 0], [0, 1, 0], [0, 0, 1]])
    found = through(torch.tensor([[1.0, 0, 0]]), [first, second])
    # half class; half token 1, of which half was token 2
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.25, 0.25]]))


def test_divided_attention_by_hand():
    """Over space all take from place 1, over time all from frame 2; T = 4, N = 3."""
    num_frames, num_places = 4, 3
    over_space = torch.zeros(num_frames, 1 + num_places, 1 + num_places)
    over_space[:, :, 1 + 1] = 1
    over_time = torch.zeros(num_places, num_frames, num_frames)
    over_time[:, :, 2] = 1
    model = built("timesformer_divided", depth=1)
    shares = roll_out(model, [over_time, over_space]).unflatten(0, (num_frames, num_places))
    expected = torch.zeros(num_frames, num_places)
    expected[:, 1] = 1 / 2 / num_frames / 2  # half the class token's; half of it stays in its frame
    expected[2, 1] += 1 / 4
    torch.testing.assert_close(shares, expected)


@pytest.mark.parametrize("num_classes", [0, 1])
def test_attention_within_frames_and_places_is_one_matrix_over_all_tokens(num_classes):
    num_frames, num_places = 3, 2
    over_space = attention(num_frames, num_classes + num_places, num_classes + num_places)
    over_time = attention(num_places, num_frames, num_frames, seed=1)
    size = num_classes + num_frames * num_places
    space, time = torch.zeros(size, size), torch.zeros(size, size)

    def number(frame, place):
        return num_classes + frame * num_places + place

    for frame in range(num_frames):
        inside = [*range(num_classes), *(number(frame, place) for place in range(num_places))]
        for row, token in enumerate(inside):
            share = 1 / num_frames if token < num_classes else 1  # the class token's mean
            for column, other in enumerate(inside):
                space[token, other] += share * over_space[frame, row, column]
    for place in range(num_places):
        for frame in range(num_frames):
            for other in range(num_frames):
                time[number(frame, place), number(other, place)] = over_time[place, frame, other]
    time[:num_classes, :num_classes] = 1  # takes no part
    every = torch.eye(size)
    found_space = within_frames(every, over_space, num_classes=num_classes)
    found_time = within_places(every, over_time, num_classes=num_classes)
    torch.testing.assert_close(found_space, space)
    torch.testing.assert_close(found_time, time)
    for matrix in (found_space, found_time):
        torch.testing.assert_close(matrix.sum(1), torch.ones(size))


def test_the_order_of_factorised_attention_is_space_then_time():
    """Over space all take from place 0, over time from the frame before, cyclically."""
    over_space = torch.zeros(4, 3, 3)
    over_space[:, :, 0] = 1
    over_time = torch.eye(4).roll(-1, dims=1).expand(3, 4, 4)
    model = built("vivit_attention", depth=1)
    found = roll_out(model, [over_space, over_time])
    every = torch.full((1, 12), 1 / 12)
    late = (every + within_places(every, over_time)) / 2
    torch.testing.assert_close(found, ((late + within_frames(late, over_space)) / 2)[0])
    assert found.unflatten(0, (4, 3))[:, 0].sum() == pytest.approx(2 / 3)


def test_the_rollout_of_a_pooler_begins_with_what_its_query_attends_to():
    """Its query takes all of token 2; in both blocks below all take from token 0."""
    joint = torch.zeros(1, 3, 3)
    joint[:, :, 0] = 1
    asked = torch.tensor([[[0.0, 0, 1]]])
    found = roll_out(built("vjepa2", depth=1), [joint, joint, asked])
    torch.testing.assert_close(found, torch.tensor([0.75, 0, 0.25]))


def test_what_cannot_be_rolled_out_is_said():
    model = configured("mvit_small").eval()
    assert not has_rollout(model)
    with pytest.raises(ValueError, match="rollout is not defined for MViT; take --method=grad-cam"):
        rollout(model, clip())
