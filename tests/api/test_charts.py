import numpy as np
import pytest

from api import charts


def kilometres_to_pixels(lon: list[float], lat: list[float], height: int) -> tuple[float, float]:
    shrink = np.cos(np.radians(np.mean(lat)))
    return (lon[1] - lon[0]) * shrink / charts.MAP_WIDTH, (lat[1] - lat[0]) / height


@pytest.mark.parametrize(
    ("lon", "lat"),
    [
        pytest.param([-122.0, -71.0], [26.0, 47.0], id="a-wide-country"),
        pytest.param([-72.0, -68.0], [-54.0, -18.0], id="a-tall-country"),
        pytest.param([4.0, 7.0], [52.0, 52.1], id="a-strip"),
        pytest.param([10.0], [50.0], id="one-place"),
    ],
)
def test_a_kilometre_is_as_long_either_way_on_the_map(lon: list[float], lat: list[float]) -> None:
    west_east, south_north, height = charts.frame(np.array(lon), np.array(lat))
    across, down = kilometres_to_pixels(west_east, south_north, height)
    assert across == pytest.approx(down, rel=0.01)
    assert west_east[0] < min(lon) <= max(lon) < west_east[1]
    assert south_north[0] < min(lat) <= max(lat) < south_north[1]
