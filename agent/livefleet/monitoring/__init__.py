"""What central monitoring is made of, as data: scrape settings, discovery, alert rules, dashboards. Pure.

Deploys put it on hosts with the role `monitor`; tests hold it against the metrics that nodes export.
"""
