docker run --name livepeer_ai_orchestrator \
  -v ~/.lpData/:/root/.lpData/ \
  -v /var/run/docker.sock:/var/run/docker.sock \
  -v /srv/ai/aiModels.json:/aiModels.json \
  --network host --gpus '"device=0"' \
  livepeer/go-livepeer:v0.9.1 \
  -orchestrator -serviceAddr 0.0.0.0:8936 -network offchain \
  -nvidia 0 -aiWorker -aiModels /aiModels.json -aiModelsDir /srv/ai/models \
  -aiRunnerImage livepeer/ai-runner:latest -v 6
