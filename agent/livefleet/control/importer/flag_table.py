"""The flags of go-livepeer v0.9.1 and those that older releases had, one a row.

Columns: name, kind, fate, and then for `mapped` the fields of the spec, else why nothing says it and what to do;
then `secret` where the value is one, and `use X` where go-livepeer itself calls the flag deprecated.
"""

# ruff: noqa: E501 -- a row is a line

from typing import Final

__all__ = ["ROWS"]

ROWS: Final = """
# network and addresses
network | text | mapped | network.name
ethUrl | text | mapped | network.rpc | secret
ethController | text | mapped | network.controller
serviceAddr | text | mapped | orchestrator.service_uri, orchestrator.discovery_only
httpAddr | text | mapped | orchestrator.listen, redeemer.listen
nodes | text | mapped | orchestrator.nodes
cliAddr | text | mapped | monitoring.admin_listen
orchAddr | text | mapped | worker.orchestrator
startupAvailabilityCheck | bool | explained | the agent never stops itself over it: `livefleet apply` verifies the door, `livefleet why` looks from outside
config | text | mapped | (its lines)
# what the node is
orchestrator | bool | mapped | role
transcoder | bool | mapped | role, duties.transcoding
aiWorker | bool | mapped | role, duties.ai
redeemer | bool | mapped | role, duties.redemption
reward | bool | mapped | duties.reward
initializeRound | bool | mapped | duties.reward.initialize_round
initializeRoundMaxDelay | duration | explained | the agent waits up to 30 s, go-livepeer's default; nothing to do
orchSecret | text | mapped | orchestrator.worker_secret, worker.secret | secret
# video
nvidia | text | mapped | gpus
netint | text | explained | the agent drives NVIDIA cards and CPUs only; keep go-livepeer on hosts with NETINT cards
maxSessions | text | mapped | orchestrator.max_sessions, duties.transcoding.max_sessions
testTranscoder | bool | explained | the agent tries every device before it serves, and says what it found in /status; nothing to do
hevcDecoding | bool | explained | the agent offers what its devices decode; nothing to do
# keys
ethAcctAddr | text | mapped | keys.NAME.address
ethPassword | text | mapped | keys.NAME.password | secret
ethKeystorePath | text | mapped | keys.NAME.host_file
ethOrchAddr | text | mapped | orchestrator.recipient, redeemer.recipient
dataDir | text | mapped | keys.NAME.host_file
datadir | text | mapped | keys.NAME.host_file | use -dataDir
# transactions
transactionTimeout | duration | explained | the agent keeps every transaction until it is known what became of it; nothing to do
maxTransactionReplacements | int | explained | the agent raises fees as long as `duties.*.max_gas_price` allows; nothing to do
gasLimit | int | explained | gas is estimated for each transaction; nothing to do
minGasPrice | int | explained | fees follow the chain; a floor only makes transactions dearer
maxGasPrice | int | mapped | duties.reward.max_gas_price, duties.redemption.max_gas_price
blockPollingInterval | int | explained | the agent asks when there is something to see; `network.idle_look_s` and `requests_per_second` spare an endpoint
# prices and tickets
pricePerUnit | text | mapped | prices.video
pixelsPerUnit | text | mapped | prices.video
priceFeedAddr | text | mapped | prices.feed.address
autoAdjustPrice | bool | mapped | prices.auto_adjust
pricePerGateway | text | mapped | prices.gateways
pricePerBroadcaster | text | mapped | prices.gateways | use -pricePerGateway
ticketEV | text | mapped | orchestrator.ticket.expected_value
maxFaceValue | text | mapped | orchestrator.ticket.max_face_value
redeemerAddr | text | mapped | orchestrator.redeemer
# AI
aiModels | text | mapped | models
aiModelsDir | text | explained | ai-runner's cache is laid out otherwise: models are pulled into `duties.ai.weights.folder` and checked; the folder can go once they are there
aiServiceRegistry | bool | mapped | on_chain.ai_service_uri
aiRunnerImage | text | explained | models run in the agent; to keep a container give its entry a `url` | use -aiRunnerImageOverrides
aiRunnerImageOverrides | text | explained | models run in the agent; to keep a container give its entry a `url`
aiRunnerContainersPerGPU | int | explained | the agent reckons with each GPU's memory in place of a number; nothing to do
aiVerboseLogs | bool | explained | runners log to the agent's log; `monitoring.log_level` sets how much
aiServerless | bool | explained | serverless runners are not spoken to; keep go-livepeer for them
aiMinRunnerVersion | text | explained | models run in the agent, so that there is no other version
aiProcessingRetryTimeout | duration | gateway | a gateway's patience
useLiveRunners | bool | explained | the Live Runner registry is not spoken; keep go-livepeer beside for it, under another service address
liveRunnerConfig | text | explained | the Live Runner registry is not spoken; keep go-livepeer beside for it, under another service address
liveRunnerAddr | text | explained | the Live Runner registry is not spoken; keep go-livepeer beside for it, under another service address
liveRunnerProxyUrl | text | explained | the Live Runner registry is not spoken; keep go-livepeer beside for it, under another service address
liveAITrickleHostForRunner | text | explained | live-video-to-video is no pipeline of model entries; keep go-livepeer for it
livePaymentInterval | duration | gateway | how often a gateway pays for live AI
liveOutSegmentTimeout | duration | gateway | a gateway's patience
liveAIAuthApiKey | text | gateway | a gateway's key for its own back end | secret
liveAIAuthWebhookUrl | text | gateway | a gateway's webhook | secret
liveAIHeartbeatURL | text | gateway | a gateway's reports
liveAIHeartbeatHeaders | text | gateway | a gateway's reports | secret
liveAIHeartbeatInterval | duration | gateway | a gateway's reports
liveAISaveNSegments | int | explained | segments are not kept for debugging
liveAICapRefreshModels | text | gateway | a gateway's metrics | use -liveAICapReportInterval
liveAICapReportInterval | duration | gateway | a gateway's metrics
mediaMTXApiPassword | text | gateway | a gateway's media server | secret
# reports
monitor | bool | mapped | monitoring.admin_listen
metricsPerStream | bool | mapped | monitoring.metrics_per_stream
metricsClientIP | bool | explained | no metric tells gateways' addresses; the books tell senders
metadataQueueUri | text | explained | nothing is sent to AMQP; read /metrics and the log | secret
metadataAmqpExchange | text | explained | nothing is sent to AMQP; read /metrics and the log
metadataPublishTimeout | duration | explained | nothing is sent to AMQP; read /metrics and the log
v | text | mapped | monitoring.log_level
version | bool | explained | prints and ends; `livefleet --version`
j | bool | explained | prints and ends; `livefleet schema` describes the spec
# stores and hooks
objectStore | text | mapped | orchestrator.object_store | secret
recordStore | text | gateway | recordings are a gateway's | secret
authWebhookUrl | text | mapped | orchestrator.auth_webhook | secret
FVfailGsbucket | text | gateway | a gateway's fast verification
FVfailGskey | text | gateway | a gateway's fast verification | secret
# gateways and signers
gateway | bool | gateway | a gateway is no part of a fleet; keep running it as it is
broadcaster | bool | gateway | a gateway is no part of a fleet; keep running it as it is | use -gateway
rtmpAddr | text | gateway | a gateway's door
httpIngest | bool | gateway | a gateway's door
gatewayHost | text | gateway | a gateway's name
verifierUrl | text | gateway | a gateway's verification
verifierPath | text | gateway | a gateway's verification
localVerify | bool | gateway | a gateway's verification
orchWebhookUrl | text | gateway | how a gateway finds orchestrators | secret
orchBlocklist | text | gateway | how a gateway chooses
orchMinLivepeerVersion | text | gateway | how a gateway chooses; for workers the agent decides itself
extraNodes | int | gateway | how many `nodes` of an orchestrator a gateway follows
selectRandFreq | float | gateway | how a gateway chooses
selectStakeWeight | float | gateway | how a gateway chooses
selectPriceWeight | float | gateway | how a gateway chooses
selectPriceExpFactor | float | gateway | how a gateway chooses
orchPerfStatsUrl | text | gateway | how a gateway chooses
region | text | gateway | how a gateway chooses
minPerfScore | float | gateway | how a gateway chooses
discoveryTimeout | duration | gateway | how a gateway chooses
maxPricePerUnit | text | gateway | what a gateway pays at most
maxPricePerCapability | text | gateway | what a gateway pays at most
ignoreMaxPriceIfNeeded | bool | gateway | what a gateway pays at most
transcodingOptions | text | gateway | what a gateway asks for
maxAttempts | int | gateway | how often a gateway tries
currentManifest | bool | gateway | a gateway's playback
maxTicketEV | text | gateway | what a gateway pays at most
maxTotalEV | text | gateway | what a gateway pays at most
depositMultiplier | int | gateway | what a gateway pays at most
remoteSigner | bool | gateway | a signer for gateways is no part of a fleet
remoteSignerUrl | text | gateway | a gateway's signer
remoteSignerHeaders | text | gateway | a gateway's signer | secret
remoteSignerWebhookUrl | text | gateway | a signer for gateways | secret
remoteSignerWebhookHeaders | text | gateway | a signer for gateways | secret
remoteSignerAllowNoAuth | bool | gateway | a signer for gateways
remoteDiscovery | bool | gateway | a signer for gateways
kafkaBootstrapServers | text | gateway | a gateway's events
kafkaUser | text | gateway | a gateway's events
kafkaPassword | text | gateway | a gateway's events | secret
kafkaGatewayTopic | text | gateway | a gateway's events
# gone: go-livepeer ends with an error where one of these is given
standaloneTranscoder | bool | removed | gone since 0.5; `-transcoder` without `-orchestrator` is the same
s3bucket | text | removed | gone since 0.5.17; `-objectStore s3://REGION/BUCKET` is the same
s3creds | text | removed | gone since 0.5.17; they stand in `-objectStore` | secret
gsbucket | text | removed | gone since 0.5.17; `-objectStore gs://BUCKET?keyfile=FILE` is the same
gskey | text | removed | gone since 0.5.17; it stands in `-objectStore` | secret
gasPrice | int | removed | gone since 0.5.17; `-maxGasPrice` bounds it
offchain | bool | removed | gone since 0.5.30; `-network offchain` is the same, and the default
rinkeby | bool | removed | gone since 0.4, and so is the network
testnet | bool | removed | gone since 0.2, and so is the network
devenv | bool | removed | gone since 0.4
controllerAddr | text | removed | gone since 0.4; `-ethController` is the same
ethAccountAddr | text | removed | gone since 0.1.4; `-ethAcctAddr` is the same
ethKeyPath | text | removed | gone since 0.2; `-ethKeystorePath` is the same
ethDatadir | text | removed | gone since 0.1.4; `-ethKeystorePath` names keystores
ethIpcPath | text | removed | gone since 0.4; `-ethUrl` is the way to the chain
gethipc | text | removed | gone since 0.1; `-ethUrl` is the way to the chain
maxPricePerSegment | text | removed | gone since 0.4; `-maxPricePerUnit` is a gateway's limit
faceValue | float | removed | gone since 0.5; `-ticketEV` and `-maxFaceValue` shape tickets
winProb | float | removed | gone since 0.5; `-ticketEV` and `-maxFaceValue` shape tickets
monitorhost | text | removed | gone since 0.4; `-monitor` serves metrics
ipfsPath | text | removed | gone since 0.4
noIPFSLogFiles | bool | removed | gone since 0.4
httpIP | text | removed | gone since 0.3; `-httpAddr` is the same
rtmpIP | text | removed | gone since 0.3; `-rtmpAddr` is the same
publicIP | text | removed | gone since 0.3; `-serviceAddr` is the same
bootnode | bool | removed | gone since 0.2
detectContent | bool | removed | gone since 0.7.2
sceneClassificationModelPath | text | removed | gone since 0.7.2
detectionWebhookUrl | text | removed | gone since 0.7.2
detectionSampleRate | int | removed | gone since 0.7.2
"""
