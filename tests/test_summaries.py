"""Figures and thumbnails of activations, against NumPy and numbers worked out by hand."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from segdemo import reductions
from segdemo.summaries import are_finite, preview, step_for, summarise


def test_figures_of_a_small_activation_by_hand() -> None:
    #                     channel 0: 0 0 / 0 4     channel 1: -2 2 / 2 2     channel 2: all 0
    tensor = torch.tensor([[[[0.0, 0], [0, 4]], [[-2, 2], [2, 2]], [[0, 0], [0, 0]]]])
    summary = summarise(tensor)
    assert summary.shape == (3, 2, 2)
    assert (summary.minimum, summary.maximum) == (-2, 4)
    assert summary.mean == pytest.approx(8 / 12)
    assert summary.std == pytest.approx(np.sqrt((16 + 4 * 4) / 12 - (8 / 12) ** 2))
    assert summary.zero_share == pytest.approx(7 / 12)
    assert summary.dead == (2,)
    assert (summary.nans, summary.infinities) == (0, 0)
    channels = summary.channels
    assert channels.minimum.tolist() == [0, -2, 0]
    assert channels.maximum.tolist() == [4, 2, 0]
    assert channels.mean.tolist() == [1, 1, 0]
    assert channels.mean_abs.tolist() == [1, 2, 0]
    assert channels.std == pytest.approx([np.sqrt(3), np.sqrt(3), 0])
    assert channels.zero_share.tolist() == [0.75, 0, 1]
    assert summary.thumbnails.tolist() == [[[0, 0], [0, 252]], [[0, 252], [252, 252]], [[0, 0], [0, 0]]]
    assert summary.thumbnail_step == 1


def test_figures_in_pieces_agree_with_numpy_on_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reductions, "CHUNK", 1000)  # 7 channels of 30 x 20 values come in 7 pieces
    values = np.random.default_rng(3).normal(1000, 0.5, (7, 30, 20)).astype(np.float32)  # hard for naive sums
    summary = summarise(torch.from_numpy(values)[None])
    exact = values.astype(np.float64)
    assert summary.mean == pytest.approx(exact.mean(), rel=1e-6)
    assert summary.std == pytest.approx(exact.std(), rel=1e-3)
    assert summary.channels.std == pytest.approx(exact.std((1, 2)), rel=1e-3)
    assert summary.channels.mean_abs == pytest.approx(np.abs(exact).mean((1, 2)), rel=1e-6)
    assert (summary.minimum, summary.maximum) == (values.min(), values.max())


LAYOUTS = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["planes", "pixels"])


@LAYOUTS
@pytest.mark.parametrize("shape", [(7, 30, 20), (21, 137, 97), (3, 97, 200), (70, 9, 9), (2, 1030, 3)])
def test_every_figure_and_thumbnail_is_that_of_numpy_whatever_the_layout_in_memory(
    monkeypatch: pytest.MonkeyPatch, layout: torch.memory_format, shape: tuple[int, int, int]
) -> None:
    monkeypatch.setattr(reductions, "CHUNK", 9000)
    values = np.random.default_rng(5).normal(0.3, 2, shape).astype(np.float32)
    values[::2] = np.maximum(values[::2], 0)  # every other channel rectified
    values[0] = 0
    summary = summarise(torch.from_numpy(values)[None].to(memory_format=layout))
    exact, channels = values.astype(np.float64), summary.channels
    assert np.array_equal(channels.minimum, values.min((1, 2)))
    assert np.array_equal(channels.maximum, values.max((1, 2)))
    assert channels.mean == pytest.approx(exact.mean((1, 2)), rel=1e-5, abs=1e-6)
    assert channels.std == pytest.approx(exact.std((1, 2)), rel=1e-5)
    assert channels.mean_abs == pytest.approx(np.abs(exact).mean((1, 2)), rel=1e-5)
    assert channels.zero_share == pytest.approx((values == 0).mean((1, 2)))
    assert summary.zero_share == pytest.approx((values == 0).mean())
    assert summary.std == pytest.approx(exact.std(), rel=1e-5)
    assert summary.dead == (0,)
    step = summary.thumbnail_step
    rows, columns = (range(0, side, step) for side in shape[1:])
    means = np.array([[exact[:, y : y + step, x : x + step].mean((1, 2)) for x in columns] for y in rows])
    means, low = np.moveaxis(means, 2, 0), exact.min((1, 2))[:, None, None]
    span = np.maximum(exact.max((1, 2))[:, None, None] - low, 1e-9)
    assert summary.thumbnails == pytest.approx(252 * (means - low) / span, abs=0.51)
    assert summary.counts.sum() == values.reshape(shape[0], -1)[:, :: summary.counted_step].size


@LAYOUTS
def test_values_far_from_zero_tiny_or_huge_keep_their_spread(layout: torch.memory_format) -> None:
    normal = np.random.default_rng(6).normal(0, 1, (4, 50, 60)).astype(np.float32)
    scales, shifts = np.array([[0.5, 1e-25, 1e25, 1], [1000, 0, 0, -1e5]], np.float32)
    values = normal * scales[:, None, None] + shifts[:, None, None]
    summary = summarise(torch.from_numpy(values)[None].to(memory_format=layout))
    exact = values.astype(np.float64)
    assert summary.channels.std == pytest.approx(exact.std((1, 2)), rel=1e-5)
    assert summary.channels.mean_abs == pytest.approx(np.abs(exact).mean((1, 2)), rel=1e-5)


@LAYOUTS
def test_what_is_not_finite_is_found_in_either_layout(layout: torch.memory_format) -> None:
    values = torch.zeros(1, 3, 200, 40)
    values[0, 1, 150, 3], values[0, 1, 7, 7], values[0, 2, 0, 0] = torch.nan, 5, -torch.inf
    summary = summarise(values.to(memory_format=layout))
    assert summary.channels.nans.tolist() == [0, 1, 0]
    assert summary.channels.infinities.tolist() == [0, 0, 1]
    assert summary.channels.maximum.tolist() == [0, 5, 0]
    assert summary.channels.mean[1] == pytest.approx(5 / 7999)
    assert (summary.thumbnails[1, 37, 0], summary.thumbnails[2, 0, 0]) == (255, 253)
    assert summary.zero_share == pytest.approx((24_000 - 3) / 24_000)


@LAYOUTS
def test_nearly_constant_maps_never_leave_the_scale(layout: torch.memory_format) -> None:
    values = torch.full((1, 3, 300, 300), 0.1)
    values[0, :, 0, 0] = float(np.nextafter(np.float32(0.1), np.float32(1)))
    assert set(np.unique(summarise(values.to(memory_format=layout)).thumbnails)) <= set(range(253))


def test_what_is_repeated_without_memory_of_its_own_is_summarised_as_if_it_had() -> None:
    vector = torch.tensor([1.0, 0, -2]).reshape(1, 3, 1, 1)
    repeated, written_out = summarise(vector.expand(-1, -1, 5, 4)), summarise(vector.repeat(1, 1, 5, 4))
    assert repeated.channels.mean.tolist() == written_out.channels.mean.tolist() == [1, 0, -2]
    assert repeated.thumbnails.shape == (3, 5, 4)
    assert repeated.counts.sum() == 60


def test_the_histogram_counts_every_value_once() -> None:
    values = np.random.default_rng(4).integers(0, 64, (5, 40, 40)).astype(np.float32)
    summary = summarise(torch.from_numpy(values)[None])
    expected, edges = np.histogram(values, bins=64)
    assert summary.counts.tolist() == expected.tolist()
    assert summary.edges == pytest.approx(edges)
    assert summary.counts.sum() == values.size
    assert summary.counted_step == 1


def test_the_histogram_of_a_large_activation_counts_every_nth_value_of_all_columns() -> None:
    values = np.tile(np.arange(64, dtype=np.float32), (1, 4, 3000, 1))  # each column has a value of its own
    summary = summarise(torch.from_numpy(values))
    assert summary.counted_step == 25  # 768,000 values, of which about 32,768 are counted; 25 and 64 share no factor
    assert summary.counts.sum() == 4 * 192_000 / 25
    assert summary.counts.max() - summary.counts.min() <= 1


def test_the_histogram_skips_over_a_step_that_would_see_every_other_column_only() -> None:
    values = np.tile(np.arange(64, dtype=np.float32), (1, 4, 240, 1))
    summary = summarise(torch.from_numpy(values))
    assert summary.counted_step == 3  # 61,440 values would be few enough at 2, which divides 64
    assert summary.counts.tolist() == [320] * 64


def test_a_constant_activation_has_one_full_bin_around_its_value() -> None:
    summary = summarise(torch.full((1, 2, 3, 3), 7.0))
    assert summary.counts.sum() == summary.counts[32] == 18
    assert summary.edges[32] <= 7 <= summary.edges[33]
    assert summary.thumbnails.max() == 0
    assert summary.dead == ()


def test_what_is_not_finite_is_counted_marked_and_kept_out_of_the_figures() -> None:
    tensor = torch.tensor([[[[1.0, float("nan")], [3, float("inf")]], [[0, -float("inf")], [0, 0]]]])
    summary = summarise(tensor)
    assert (summary.nans, summary.infinities) == (1, 2)
    assert (summary.minimum, summary.maximum) == (0, 3)
    assert summary.mean == pytest.approx(4 / 5)
    assert summary.std == pytest.approx(np.std([1, 3, 0, 0, 0]))
    assert summary.counts.sum() == 5
    assert summary.thumbnails[0].tolist() == [[0, 255], [252, 254]]
    assert summary.thumbnails[1].tolist() == [[0, 253], [0, 0]]
    assert summary.channels.nans.tolist() == [1, 0]
    assert summary.channels.infinities.tolist() == [1, 1]


def test_a_channel_without_one_finite_value_does_not_spoil_the_others() -> None:
    tensor = torch.stack([torch.full((2, 2), float("nan")), torch.ones(2, 2)])[None]
    summary = summarise(tensor)
    assert (summary.minimum, summary.maximum, summary.mean, summary.nans) == (1, 1, 1, 4)
    assert (summary.thumbnails[0] == 255).all()
    assert np.isnan(summary.channels.maximum[0])
    assert summary.channels.ranked("variance").tolist() == [1, 0]


def test_an_activation_without_one_finite_value_has_no_range_and_an_empty_histogram() -> None:
    summary = summarise(torch.full((1, 2, 2, 2), float("nan")))
    assert (summary.minimum, summary.maximum, summary.nans, summary.dead) == (0, 0, 8, ())
    assert (summary.mean, summary.std, summary.zero_share) == (0, 0, 0)
    assert summary.counts.sum() == 0
    assert (summary.thumbnails == 255).all()


def test_thumbnails_of_large_maps_are_means_of_squares_also_at_uneven_borders() -> None:
    values = torch.arange(130 * 97, dtype=torch.float32).reshape(1, 1, 130, 97)
    summary = summarise(values)
    assert summary.thumbnail_step == 2
    assert summary.thumbnails.shape == (1, 65, 49)
    means = values[0, 0].double().numpy()
    top_left, right = means[:2, :2].mean(), means[:2, 96:].mean()
    span = means.max() - means.min()
    assert summary.thumbnails[0, 0, 0] == round(252 * top_left / span)
    assert summary.thumbnails[0, 0, 48] == round(252 * right / span)


def test_maps_up_to_the_thumbnail_size_are_kept_pixel_for_pixel() -> None:
    assert [step_for(96, 96, 96), step_for(97, 3, 96), step_for(512, 512, 96), step_for(1, 1, 96)] == [1, 2, 8, 1]


@pytest.mark.parametrize(
    ("shape", "maps"), [((1, 5), (5, 1, 1)), ((1, 7, 5), (1, 7, 5)), ((1, 2, 3, 4, 5), (2, 12, 5)), ((4,), (4, 1, 1))]
)
def test_outputs_that_are_no_maps_are_summarised_too(shape: tuple[int, ...], maps: tuple[int, ...]) -> None:
    summary = summarise(torch.arange(math.prod(shape), dtype=torch.float32).reshape(shape))
    assert summary.thumbnails.shape == maps
    assert summary.shape == (shape[1:] if len(shape) > 1 else shape)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.int64, torch.bool])
def test_any_number_type_is_summarised(kind: torch.dtype) -> None:
    summary = summarise(torch.tensor([[[[0, 1], [1, 1]]]]).to(kind))
    assert (summary.mean, summary.zero_share) == (0.75, 0.25)


def test_channels_are_ranked_best_first() -> None:
    tensor = torch.tensor([[[[0.0, 0, 0, 8]], [[5, 5, 5, 5]], [[-6, -6, -6, -7]]]])
    ranked = summarise(tensor).channels.ranked
    assert ranked("mean_abs").tolist() == [2, 1, 0]
    assert ranked("variance").tolist() == [0, 2, 1]
    assert ranked("sparsity").tolist() == [0, 1, 2]
    assert ranked("index").tolist() == [0, 1, 2]


def test_a_preview_shows_every_nth_pixel_of_the_channel_that_varies_most_in_its_middle_row() -> None:
    tensor = torch.zeros(1, 3, 100, 60)
    tensor[0, 1] = torch.arange(60)
    tensor[0, 2, ::3] = 99  # differs from row to row, and within none
    seen = preview(tensor)
    assert (seen.channel, seen.step, seen.shape) == (1, 4, (3, 100, 60))
    assert (seen.low, seen.high) == (0, 56)  # every fourth of 0 … 59
    assert (seen.thumbnail == np.rint(252 / 56 * np.arange(0, 60, 4))).all()


def test_what_was_summarised_in_inference_mode_is_summarised_as_well_outside_it() -> None:
    with torch.inference_mode():
        inside = summarise(torch.ones(1, 2, 3, 4))
    assert summarise(torch.ones(1, 2, 3, 4)).mean == inside.mean == 1


def test_summary_that_was_pickled_or_copied_cannot_be_changed() -> None:
    values = torch.rand(1, 3, 5, 4)
    restorers: list[Callable[[Any], Any]] = [lambda value: pickle.loads(pickle.dumps(value)), copy.deepcopy]
    for restore in restorers:
        summary, shown = restore(summarise(values)), restore(preview(values))
        channels = [getattr(summary.channels, field.name) for field in dataclasses.fields(summary.channels)]
        arrays = [summary.edges, summary.counts, summary.thumbnails, shown.thumbnail, *channels]
        assert not any(array.flags.writeable for array in arrays)


def test_rankings_look_at_the_picture_and_not_at_its_padding() -> None:
    tensor = torch.zeros(1, 3, 4, 6)  # the picture takes the first 2 rows and 5 columns, 10 values
    tensor[0, 0, 2:] = 50  # great, varied and never 0, in the padding alone
    tensor[0, 0, 3, ::2] = -50
    tensor[0, 1, 0, :5] = torch.tensor([1.0, 3, 1, 3, 2])
    tensor[0, 2, :2, :5] = 4
    channels = summarise(tensor, part=(5, 2)).channels
    assert channels.inside_abs.tolist() == pytest.approx([0, 1, 4])
    assert channels.inside_spread.tolist() == pytest.approx([0, np.std([1, 3, 1, 3, 2, 0, 0, 0, 0, 0]), 0])
    assert channels.inside_zeros.tolist() == pytest.approx([1, 0.5, 0])
    assert channels.ranked("mean_abs").tolist() == [2, 1, 0]
    assert channels.ranked("variance").tolist() == [1, 0, 2]
    assert channels.ranked("sparsity").tolist() == [0, 1, 2]
    assert channels.std.tolist() == pytest.approx(tensor[0].flatten(1).std(1, correction=0).tolist())  # of the whole


def test_pixels_of_thumbnails_that_mix_picture_and_padding_are_left_out_of_rankings() -> None:
    tensor = torch.zeros(1, 1, 200, 200)  # thumbnails of 4 x 4 values: the 22 rows of the picture fill 5 of them
    tensor[0, 0, 20:] = 1000
    assert summarise(tensor, part=(200, 22)).channels.inside_spread.tolist() == [0]
    assert summarise(tensor, part=(200, 1)).channels.inside_abs.tolist() == [0]  # less than one pixel: the first


@pytest.mark.parametrize("side", [5, 12, 90])
def test_a_single_outlier_makes_no_channel_one_that_varies(side: int) -> None:
    tensor = torch.zeros(1, 2, side, side)
    tensor[0, 0, 0, 0] = 1e6
    tensor[0, 1, :, ::2] = 1
    summary = summarise(tensor)
    assert summary.channels.std[0] > summary.channels.std[1]
    assert summary.channels.ranked("variance").tolist() == [1, 0]
    assert summary.channels.inside_spread[0] == 0


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_figures_inside_the_picture_are_those_of_numpy_whatever_the_layout(layout: torch.memory_format) -> None:
    values = np.random.default_rng(8).normal(0.2, 1, (5, 16, 16)).astype(np.float32).round(1)
    channels = summarise(torch.from_numpy(values)[None].to(memory_format=layout), part=(10, 14)).channels
    seen = values[:, :14, :10].reshape(5, -1)  # 140 values: 2 at each end are brought in line with the third
    ordered = np.sort(seen, axis=1)
    kept = np.clip(seen, ordered[:, 2:3], ordered[:, -3:-2])
    assert channels.inside_spread == pytest.approx(kept.std(1), rel=1e-5)
    assert channels.inside_abs == pytest.approx(np.abs(seen).mean(1), rel=1e-5)
    assert channels.inside_zeros == pytest.approx((seen == 0).mean(1))


def test_a_preview_is_chosen_by_the_middle_row_of_the_picture() -> None:
    tensor = torch.zeros(1, 2, 40, 20)
    tensor[0, 0, 20] = torch.arange(20) * 9.0  # the middle row of the map, in the padding
    tensor[0, 1, 5, :10] = torch.arange(10)  # that of the picture
    assert preview(tensor).channel == 0
    assert preview(tensor, part=(10, 10)).channel == 1


def test_values_are_finite_though_their_sum_is_not_and_one_that_is_not_is_found() -> None:
    huge = torch.full((2, 3), 3e38)
    assert are_finite(huge) and are_finite(torch.zeros(2, 0))
    for odd in (float("nan"), float("inf"), -float("inf")):
        one = torch.zeros(2, 3, 4)
        one[1, 2, 3] = odd
        assert not are_finite(one)
    assert not are_finite(torch.tensor([float("inf"), -float("inf")]))
