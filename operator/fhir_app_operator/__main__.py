"""`python -m fhir_app_operator`: the same command line as the installed `fhir-app-operator`."""

from fhir_app_operator.cli import main

if __name__ == "__main__":
    main()
