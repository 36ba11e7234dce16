"""The operator's side of enrolment: tokens, the hosts that have asked, and the service that answers them."""
