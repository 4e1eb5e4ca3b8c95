"""What is read of Jobs and their pods to tell how they stand: partial views as in ``policy.objects``."""

from webhook.policy.objects import ObjectMeta, View


class JobCondition(View, frozen=True):
    """One entry of a Job's ``status.conditions``."""

    type: str = ""
    status: str = ""
    reason: str = ""


class JobStatus(View, frozen=True):
    """What a Job tells of its pods and its end."""

    active: int = 0
    conditions: tuple[JobCondition, ...] | None = None


class Job(View, frozen=True):
    """What is read of a Job without looking at what it runs."""

    metadata: ObjectMeta = ObjectMeta()
    status: JobStatus = JobStatus()

    def condition(self, kind: str) -> JobCondition | None:
        """Give the condition of this type if it is true."""
        for condition in self.status.conditions or ():
            if condition.type == kind and condition.status == "True":
                return condition
        return None


class JobEvent(View, frozen=True):
    """What is read of an Event that the Job controller wrote about a Job.

    They are of the older kind: all that they have of time are whole seconds, in a field that is called deprecated.
    """

    reason: str = ""
    note: str = ""
    deprecated_last_timestamp: str | None = None


class Waiting(View, frozen=True):
    """Why a container waits (``status.containerStatuses[].state.waiting``)."""

    reason: str = ""
    message: str = ""


class ContainerState(View, frozen=True):
    """State of a container, as far as it waits."""

    waiting: Waiting | None = None


class ContainerStatus(View, frozen=True):
    """One entry of ``status.containerStatuses``."""

    state: ContainerState = ContainerState()


class PodCondition(View, frozen=True):
    """One entry of a pod's ``status.conditions``."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class PodStatus(View, frozen=True):
    """What a pod tells of how it stands."""

    phase: str = ""
    conditions: tuple[PodCondition, ...] | None = None
    container_statuses: tuple[ContainerStatus, ...] | None = None
    init_container_statuses: tuple[ContainerStatus, ...] | None = None


class JobPod(View, frozen=True):
    """What is read of a Job's pod without looking at what it runs."""

    metadata: ObjectMeta = ObjectMeta()
    status: PodStatus = PodStatus()
