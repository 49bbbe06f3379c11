"""What the tests share and is no fixture: a server to disrupt, fake fortios, inner pytest runs, JUnit XML."""
