"""The wire's protobuf messages and services; generated modules beside their sources."""

from livefleet.wire.proto import lp_rpc_pb2, lp_rpc_pb2_grpc, redeemer_pb2, redeemer_pb2_grpc

__all__ = ["lp_rpc_pb2", "lp_rpc_pb2_grpc", "redeemer_pb2", "redeemer_pb2_grpc"]
