"""A test of document_approval, with the plugin of agnt5.testing."""

import approval_worker  # noqa: F401  its handlers
import document_approval  # noqa: F401  the workflow


def test_approval(agnt5):
    mail = agnt5.stub("notification-service", "send_review_notifications", returns="sent")
    run = agnt5.start("document_approval", {"document": "plan"})
    run.wait_for("wait_for_approval", "waiting").signal("document_approved", {"by": "ada"})
    run.wait().assert_completed().assert_skipped("escalate_approval")
    assert run.path[-1] == "publish_document" and run.step("publish_document")["attempt"] == 1
    assert len(mail.calls) == 1
