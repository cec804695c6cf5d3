"""Traffic of predictive models: plain HTTPRoutes to the Services of KServe."""
