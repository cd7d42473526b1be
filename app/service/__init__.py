"""Async orchestration: drives sessions, decodes files, admits and parks streams. Knows no transport."""
