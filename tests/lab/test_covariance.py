"""The head that judges what varies with what: the square root of a matrix, the frames it is taken of, and those that it must not hear."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
linalg = pytest.importorskip("scipy.linalg")

from app.lab.config import Net  # noqa: E402
from app.lab.nets import DAMPING, NEWTON_STEPS, CovarianceHead, root  # noqa: E402

NET = Net(family="resnet", taps=(1, 4), groups=(2, 1), head="covariance", embedding_size=2 * 528 + 2080, head_size=8)


def matrix(size: int, seed: int, samples: int = 200) -> torch.Tensor:
    """[1, size, size]: products in the mean over so many rows."""
    rows = np.random.default_rng(seed).standard_normal((samples, size))
    return torch.from_numpy(rows.T @ rows / samples)[None].float()


def frames_of(count: int, seed: int, batch: int = 2) -> torch.Tensor:
    """[batch, count, D] as the encoder makes them: the upper half of products of rows, for each of the head's matrices."""
    rng, made = np.random.default_rng(seed), []
    for side in (32, 32, 64):
        rows = rng.standard_normal((batch, count, side, 100)) * np.linspace(1, 1.2, side)[:, None]
        products = np.einsum("btic,btjc->btij", rows, rows) / 100
        made.append(products[..., *np.triu_indices(side)])
    return torch.from_numpy(np.concatenate(made, -1)).float()


@pytest.fixture(scope="module")
def head():
    torch.manual_seed(3)
    made = CovarianceHead(NET).eval()
    made.spread.mean.normal_()
    made.spread.deviation.uniform_(0.5, 1.5)
    return made


@pytest.mark.parametrize("size", [2, 8, 32, 64])
def test_root_is_the_square_root_of_the_damped_matrix(size):
    given = matrix(size, size, 40 * size)  # of so many rows, no eigenvalue is small
    wanted = linalg.sqrtm(given[0].double().numpy() + DAMPING * np.eye(size))
    np.testing.assert_allclose(root(given)[0].numpy(), wanted, atol=2e-3)


def test_root_of_a_small_eigenvalue_is_too_small_never_too_large():
    """Eight steps bring an eigenvalue of a share s of the trace from s to sqrt(s) where s is above a hundredth, and to about 1.5^8 s far below."""
    values = np.logspace(0, -5, 24)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((24, 24)))[0]
    damped = turn * values @ turn.T
    found = root(torch.from_numpy(damped - DAMPING * np.eye(24))[None])[0].numpy()
    got, share = np.diag(turn.T @ found @ turn) / np.sqrt(values.sum()), values / values.sum()
    np.testing.assert_allclose(turn.T @ found @ turn, np.diag(np.diag(turn.T @ found @ turn)), atol=1e-9)
    exact = share > 0.01
    np.testing.assert_allclose(got[exact], np.sqrt(share[exact]), rtol=1e-3)
    assert (got <= np.sqrt(share) * (1 + 1e-9)).all() and (np.diff(got) < 0).all()
    np.testing.assert_allclose(got[share < 1e-5], 1.5**NEWTON_STEPS * share[share < 1e-5], rtol=0.01)


@given(side=st.sampled_from([32, 64]), level=st.integers(-6, 6), seed=st.integers(0, 99))
def test_root_of_anything_is_finite(side, level, seed):
    """Not only of Gram matrices: whatever a broken or fooled encoder says, the llr is a number."""
    given = torch.from_numpy(np.random.default_rng(seed).standard_normal((2, side, side))).float() * 10.0**level
    assert torch.isfinite(root(given + given.transpose(1, 2))).all()


@pytest.mark.parametrize("below", [0.001, 0.0023, 0.004])
def test_root_stays_small_where_rounding_made_an_eigenvalue_negative(below):
    """As 8-bit maps do on sounds that are no speech, to -0.0023 of the trace."""
    turn, _ = np.linalg.qr(np.random.default_rng(5).standard_normal((32, 32)))
    values = np.linspace(0.5, 3, 32)
    values[0] = -below * values[1:].sum()
    given = torch.from_numpy((turn * values) @ turn.T - DAMPING * np.eye(32)).float()[None]
    found = root(given)[0].double().numpy()
    wanted = (turn * np.sqrt(np.maximum(values, 0))) @ turn.T
    assert np.abs(found - wanted).max() < 0.4 * np.sqrt(values[1:].sum())
    assert np.isfinite(found).all()



@given(size=st.integers(1, 12), samples=st.integers(1, 40), seed=st.integers(0, 99), level=st.floats(-3, 3))
@settings(max_examples=60, deadline=None)
def test_root_is_symmetric_finite_and_positive(size, samples, seed, level):
    """Also of few rows, whose matrix has eigenvalues of nought, and at any level."""
    found = root(matrix(size, seed, samples) * 10**level)[0]
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found, found.T, atol=1e-5 * float(found.abs().max()), rtol=0)
    assert float(torch.linalg.eigvalsh(found.double()).min()) > 0


@given(seed=st.integers(0, 99), times=st.floats(1, 1000))
@settings(max_examples=40, deadline=None)
def test_root_grows_as_the_square_root(seed, times):
    """Of the matrix and the damping together."""
    given, unit = matrix(6, seed), torch.eye(6)
    larger = times * (given + DAMPING * unit) - DAMPING * unit
    torch.testing.assert_close(root(larger), times**0.5 * root(given), atol=1e-4 * times**0.5, rtol=1e-4)


def test_pooled_is_the_root_of_the_mean_over_the_masked_frames(head):
    frames, mask = frames_of(30, 1), torch.zeros(2, 30)
    mask[0, 5:25] = mask[1, ::2] = 1
    got, at = head.pooled(frames, mask), 0
    for side in (32, 32, 64):
        numbers, upper = side * (side + 1) // 2, np.triu_indices(side)
        for clip in range(2):
            mean = frames[clip, mask[clip] > 0, at : at + numbers].double().mean(0).numpy()
            whole = np.zeros((side, side))
            whole[upper] = mean
            whole = whole + np.triu(whole, 1).T
            wanted = linalg.sqrtm(whole + DAMPING * np.eye(side))[upper]
            np.testing.assert_allclose(got[clip, at : at + numbers].numpy(), wanted, atol=3e-3)
        at += numbers
    assert at == got.shape[1] == NET.embedding_size


def test_the_llr_is_the_mean_of_the_nets_scaled(head):
    frames, mask = frames_of(20, 2), torch.ones(2, 20)
    with torch.no_grad():
        rows = ((head.pooled(frames, mask) - head.spread.mean) / head.spread.deviation).clamp(-8, 8)
        own = torch.stack([net(rows).squeeze(-1) for net in head.nets]).mean(0)
        assert len(head.nets) == 3
        torch.testing.assert_close(head(frames, mask), own)
        again = CovarianceHead(NET).eval()
        again.load_state_dict(head.state_dict())
        again.scale.fill_(1.7)
        again.bias.fill_(-0.3)
        torch.testing.assert_close(again(frames, mask), 1.7 * own - 0.3)


def test_frames_outside_the_mask_change_nothing(head):
    frames, mask = frames_of(30, 3), torch.zeros(2, 30)
    mask[:, 4:20] = 1
    noisy = torch.where(mask[..., None] > 0, frames, torch.full_like(frames, 1e6))
    with torch.no_grad():
        llr = head(frames, mask)
        torch.testing.assert_close(head(noisy, mask), llr)
        torch.testing.assert_close(head(frames[:, 4:20], torch.ones(2, 16)), llr, atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def twelve():
    return frames_of(12, 4)


@given(st.permutations(list(range(12))))
@settings(max_examples=15, deadline=None)
def test_the_order_of_frames_changes_nothing(head, twelve, order):
    frames, mask = twelve, torch.tensor([[1.0] * 9 + [0.0] * 3] * 2)
    with torch.no_grad():
        torch.testing.assert_close(head(frames[:, order], mask[:, order]), head(frames, mask), atol=1e-4, rtol=1e-4)


def test_nothing_to_pool_is_finite(head):
    with torch.no_grad():
        assert torch.isfinite(head(frames_of(10, 5), torch.zeros(2, 10))).all()


def test_a_clip_is_judged_alike_in_any_company(head):
    frames, mask = frames_of(15, 6, batch=3), torch.ones(3, 15)
    with torch.no_grad():
        together = head(frames, mask)
        alone = torch.cat([head(frames[row : row + 1], mask[row : row + 1]) for row in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
