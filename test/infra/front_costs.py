"""Budgets and Cost Explorer as Terraform's provider uses them: AWS JSON 1.1 by the header X-Amz-Target, one account.

moto keeps budgets without subscribers and tags and cannot change one; of Cost Explorer it has cost categories alone. So both are here.
Shapes and names of errors are those of the services' API references; what an amount is compared with, nobody knows here.
"""
import time
import uuid


class Refused(Exception):
    def __init__(self, name, message):
        super().__init__(message)
        self.name, self.message = name, message


class Json:
    """A service by its operations: a method for each, from the request's members to the answer's."""
    TARGET = ""

    def __init__(self):
        self.tags = {}  # ARN -> {key: value}

    def answer(self, target, said):
        """The answer; None: not this service's, or not known here."""
        service, _, operation = target.partition(".")
        method = getattr(self, "do_" + operation, None) if service == self.TARGET else None
        return method(said) if method else None

    def do_ListTagsForResource(self, said):
        tags = self.tags.get(said.get("ResourceARN") or said.get("ResourceArn"), {})
        return {"ResourceTags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def do_TagResource(self, said):
        arn = said.get("ResourceARN") or said.get("ResourceArn")
        self.tags.setdefault(arn, {}).update({tag["Key"]: tag["Value"] for tag in said["ResourceTags"]})
        return {}

    def do_UntagResource(self, said):
        for key in said["ResourceTagKeys"]:
            self.tags.get(said.get("ResourceARN") or said.get("ResourceArn"), {}).pop(key, None)
        return {}

    def tag(self, arn, tags):
        self.tags[arn] = {tag["Key"]: tag["Value"] for tag in tags or []}


class Budgets(Json):
    """Budgets with their notifications, subscribers and tags, which moto's budgets lack."""
    TARGET = "AWSBudgetServiceGateway"

    def __init__(self):
        super().__init__()
        self.kept, self.notifications = {}, {}  # name -> budget; name -> [(notification, subscribers)]

    def arn(self, name):
        return f"arn:aws:budgets::123456789012:budget/{name}"

    def find(self, said):
        if said["BudgetName"] not in self.kept:
            raise Refused("NotFoundException", f"Unable to get budget: {said['BudgetName']} - the budget doesn't exist.")
        return said["BudgetName"]

    def do_CreateBudget(self, said):
        budget = said["Budget"]
        name = budget["BudgetName"]
        if name in self.kept:
            raise Refused("DuplicateRecordException", f"Error creating budget: {name} - the budget already exists.")
        month = time.gmtime()
        start = time.mktime((month.tm_year, month.tm_mon, 1, 0, 0, 0, 0, 0, 0)) - time.timezone
        budget.setdefault("TimePeriod", {}).setdefault("Start", start)
        budget["TimePeriod"].setdefault("End", 3706473600)  # 2087-06-15, as AWS says of a budget without an end
        budget["CalculatedSpend"] = {"ActualSpend": {"Amount": "0.0", "Unit": "USD"}}
        self.kept[name] = budget
        self.notifications[name] = [(n["Notification"], n["Subscribers"]) for n in said.get("NotificationsWithSubscribers", [])]
        self.tag(self.arn(name), said.get("ResourceTags"))
        return {}

    def do_DescribeBudget(self, said):
        return {"Budget": self.kept[self.find(said)]}

    def do_UpdateBudget(self, said):
        name = self.find(said["NewBudget"])
        self.kept[name] = {**self.kept[name], **said["NewBudget"]}
        return {}

    def do_DeleteBudget(self, said):
        name = self.find(said)
        del self.kept[name], self.notifications[name]
        self.tags.pop(self.arn(name), None)
        return {}

    def do_CreateNotification(self, said):
        self.notifications[self.find(said)].append(({"NotificationState": "OK", **said["Notification"]}, said["Subscribers"]))
        return {}

    @staticmethod
    def same(one, other):
        keys = ("NotificationType", "ComparisonOperator", "Threshold", "ThresholdType")
        return all(one.get(key, "PERCENTAGE") == other.get(key, "PERCENTAGE") for key in keys)

    def do_DeleteNotification(self, said):
        name = self.find(said)
        left = [n for n in self.notifications[name] if not self.same(n[0], said["Notification"])]
        if len(left) == len(self.notifications[name]):
            raise Refused("NotFoundException", "Unable to delete notification: the notification does not exist.")
        self.notifications[name] = left
        return {}

    def do_DescribeNotificationsForBudget(self, said):
        return {"Notifications": [n for n, _ in self.notifications[self.find(said)]]}

    def do_DescribeSubscribersForNotification(self, said):
        for notification, subscribers in self.notifications[self.find(said)]:
            if self.same(notification, said["Notification"]):
                return {"Subscribers": subscribers}
        raise Refused("NotFoundException", "Unable to get subscribers: the notification does not exist.")


class Costs(Json):
    """Anomaly monitors, their subscriptions and the tags that costs are told apart by: moto's Cost Explorer has none of them.

    A cost allocation tag cannot be deleted; destroyed it is inactive, and stays listed for as long as bills have it.
    """
    TARGET = "AWSInsightsIndexService"

    def __init__(self):
        super().__init__()
        self.monitors, self.subscriptions, self.allocation = {}, {}, {}

    def make(self, kept, kind, member, said):
        arn = f"arn:aws:ce::123456789012:{kind}/{uuid.uuid4()}"
        today = time.strftime("%Y-%m-%d", time.gmtime())
        dates = {"CreationDate": today, "LastUpdatedDate": today} if kind == "anomalymonitor" else {"AccountId": "123456789012"}
        kept[arn] = {**said[member], ("MonitorArn" if kind == "anomalymonitor" else "SubscriptionArn"): arn, **dates}
        self.tag(arn, said.get("ResourceTags"))
        return arn

    @staticmethod
    def known(kept, arns, error):
        if missing := [arn for arn in arns if arn not in kept]:
            raise Refused(error, f"{missing[0]} is not known.")
        return arns

    def do_CreateAnomalyMonitor(self, said):
        return {"MonitorArn": self.make(self.monitors, "anomalymonitor", "AnomalyMonitor", said)}

    def do_GetAnomalyMonitors(self, said):
        arns = self.known(self.monitors, said.get("MonitorArnList") or list(self.monitors), "UnknownMonitorException")
        return {"AnomalyMonitors": [self.monitors[arn] for arn in arns]}

    def do_UpdateAnomalyMonitor(self, said):
        arn, = self.known(self.monitors, [said["MonitorArn"]], "UnknownMonitorException")
        self.monitors[arn].update({"MonitorName": said["MonitorName"]} if "MonitorName" in said else {})
        return {"MonitorArn": arn}

    def do_DeleteAnomalyMonitor(self, said):
        arn, = self.known(self.monitors, [said["MonitorArn"]], "UnknownMonitorException")
        del self.monitors[arn]
        self.tags.pop(arn, None)
        return {}

    def do_CreateAnomalySubscription(self, said):
        self.known(self.monitors, said["AnomalySubscription"]["MonitorArnList"], "UnknownMonitorException")
        return {"SubscriptionArn": self.make(self.subscriptions, "anomalysubscription", "AnomalySubscription", said)}

    def do_GetAnomalySubscriptions(self, said):
        arns = self.known(self.subscriptions, said.get("SubscriptionArnList") or list(self.subscriptions), "UnknownSubscriptionException")
        return {"AnomalySubscriptions": [self.subscriptions[arn] for arn in arns]}

    def do_UpdateAnomalySubscription(self, said):
        arn, = self.known(self.subscriptions, [said["SubscriptionArn"]], "UnknownSubscriptionException")
        self.subscriptions[arn].update(said)
        return {"SubscriptionArn": arn}

    def do_DeleteAnomalySubscription(self, said):
        arn, = self.known(self.subscriptions, [said["SubscriptionArn"]], "UnknownSubscriptionException")
        del self.subscriptions[arn]
        self.tags.pop(arn, None)
        return {}

    def do_UpdateCostAllocationTagsStatus(self, said):
        self.allocation.update({tag["TagKey"]: tag["Status"] for tag in said["CostAllocationTagsStatus"]})
        return {"Errors": []}

    def do_ListCostAllocationTags(self, said):
        wanted = said.get("TagKeys") or list(self.allocation)
        return {"CostAllocationTags": [{"TagKey": key, "Type": "UserDefined", "Status": status} for key, status in self.allocation.items()
                                       if key in wanted and said.get("Status") in (None, status)]}
