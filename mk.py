import sys; sys.path[:0]=["/work/main/deploy/demo"]
from sluice_site import Site
s=Site("/work/main/build/release",sys.argv[1],"/work/main/build/models",pool_url="stratum+tcp://127.0.0.1:1",speed=1,loop="false",age_max="400d"); s.prepare()
