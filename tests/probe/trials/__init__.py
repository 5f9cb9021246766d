"""Tests of matrix/probe/trials."""
