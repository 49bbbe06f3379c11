"""What authors of their own faults and triggers need to test them. It knows nothing of pytest but how tests are named.

``FaultContract`` and ``TriggerContract`` hold what every fault and trigger must keep to: subclass one in a test module.
``context`` yields a real context for tests of your own, ``FakeClock`` spares them the waiting.
"""

from pytest_chaos.testing.faults import FaultContract
from pytest_chaos.testing.trial import FakeClock, context
from pytest_chaos.testing.triggers import TriggerContract

__all__ = ["FakeClock", "FaultContract", "TriggerContract", "context"]
