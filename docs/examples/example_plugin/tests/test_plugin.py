from zoo.testing import parametrize_checks


@parametrize_checks("example")
def test_plugin(check):
    check()
