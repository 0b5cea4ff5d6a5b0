enum WorkflowTrialsPlaceholder {}
