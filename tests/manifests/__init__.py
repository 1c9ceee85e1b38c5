"""The Kubernetes manifests are held to the Kubernetes schemas, to their purpose and to what the product renders."""
