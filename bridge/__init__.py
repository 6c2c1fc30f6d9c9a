"""replybridge connects chat events to actions."""
